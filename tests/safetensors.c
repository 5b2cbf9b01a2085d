// safetensors: what was written comes back, and a header is believed only as far as the file bears it out.
#include <mm/files/publish.h>
#include <mm/files/safetensors.h>

#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char root[PATH_MAX], path[PATH_MAX];

static int set_up(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/mm-safetensors-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(root)) return -1;
    return mm_path_join(path, sizeof path, root, "model.safetensors", NULL) == MM_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    return mm_remove_folder(root, NULL) == MM_OK ? 0 : -1;
}

// A file of this header, as long as it says or as `length` says, and `data_bytes` zeros.
static void put_n(const char *header, size_t size, uint64_t length, size_t data_bytes) {
    static char bytes[10000];
    assert_true(8 + size + data_bytes <= sizeof bytes);
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, size);
    mm_error error;
    if (mm_publish_file(path, bytes, 8 + size + data_bytes, &error) != MM_OK) fail_msg("%s", error.text);
}

static void put(const char *header, size_t data_bytes) {
    put_n(header, strlen(header), strlen(header), data_bytes);
}

static mm_safetensors *open_good(void) {
    mm_safetensors *file;
    mm_error error;
    if (mm_safetensors_open(path, &file, &error) != MM_OK) fail_msg("%s", error.text);
    return file;
}

// Refused in one line that names the file and says `word`.
static void refuse_file(const char *word) {
    mm_safetensors *file;
    mm_error error;
    assert_int_equal(mm_safetensors_open(path, &file, &error), MM_TROUBLE);
    assert_null(file);
    if (!strstr(error.text, path) || !strstr(error.text, word) || strchr(error.text, '\n')) {
        fail_msg("\"%s\" does not name the file with \"%s\"", error.text, word);
    }
}

static void refuse(const char *header, size_t data_bytes, const char *word) {
    put(header, data_bytes);
    refuse_file(word);
}

static void tensors_come_back(void **state) {
    (void)state;
    float a[6] = {1, -2.5f, INFINITY, 0x1p-149f, -0.0f, 3}, b[3] = {7, 8, 9}, out[6];
    uint64_t c[2] = {UINT64_MAX, 5}, wide[2];
    const mm_tensor tensors[] = {mm_tensor_2d("model.\"b\"\xc3\xa9", a, 2, 3),
                                 mm_tensor_1d("a", b, 3),
                                 {.name = "none", .type = MM_I32, .dims = 2, .shape = {0, 4}, .data = a},
                                 {.name = "c", .type = MM_U64, .dims = 4, .shape = {1, 2, 1, 1}, .data = c}};
    mm_error error;
    if (mm_safetensors_write(path, tensors, 4, &error) != MM_OK) fail_msg("%s", error.text);
    assert_int_equal(mm_safetensors_write(path, tensors, 4, &error), MM_TROUBLE); // never over a file
    char header[64] = "";
    FILE *raw = fopen(path, "rb");
    assert_non_null(raw);
    assert_int_equal(fread(header, 1, sizeof header - 1, raw), sizeof header - 1);
    fclose(raw);
    assert_non_null(strstr(header + 8, "{\"format\": \"pt\"}")); // transformers asks for it
    mm_safetensors *file = open_good();
    assert_string_equal(mm_safetensors_path(file), path);
    assert_int_equal(mm_safetensors_count(file), 4);
    assert_null(mm_safetensors_find(file, "b"));
    for (int i = 0; i < 4; i++) {
        const mm_safetensors_entry *entry = mm_safetensors_find(file, tensors[i].name);
        assert_non_null(entry);
        assert_true(entry->known);
        assert_int_equal(entry->tensor.type, tensors[i].type);
        assert_string_equal(entry->type_name, mm_type_name(tensors[i].type));
        assert_int_equal(entry->tensor.dims, tensors[i].dims);
        assert_memory_equal(entry->tensor.shape, tensors[i].shape, (size_t)tensors[i].dims * sizeof(int64_t));
        assert_int_equal(entry->bytes, mm_tensor_bytes(&tensors[i]));
    }
    assert_int_equal(mm_safetensors_at(file, 0)->offset % 8, 0); // the header is padded
    assert_int_equal(mm_safetensors_read_float(file, mm_safetensors_find(file, tensors[0].name), out, &error),
                     MM_OK);
    assert_memory_equal(out, a, sizeof a);
    assert_int_equal(mm_safetensors_read(file, mm_safetensors_find(file, "a"), out, &error), MM_OK);
    assert_memory_equal(out, b, sizeof b);
    assert_int_equal(mm_safetensors_read(file, mm_safetensors_find(file, "c"), wide, &error), MM_OK);
    assert_memory_equal(wide, c, sizeof c);
    assert_int_equal(mm_safetensors_read_float(file, mm_safetensors_find(file, "c"), out, &error),
                     MM_TROUBLE);
    assert_non_null(strstr(error.text, "U64"));
    mm_safetensors_close(file);
}

// Value of a half-precision number by its definition (IEEE 754): sign, exponent of 5 bits, mantissa of 10.
static double half_by_definition(unsigned bits) {
    double sign = bits >> 15 ? -1 : 1, mantissa = bits & 1023;
    int exponent = (int)(bits >> 10 & 31);
    if (exponent == 31) return mantissa != 0 ? NAN : sign * INFINITY;
    return sign * (exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, exponent - 25));
}

static void all_of_16_bits_are_widened_exactly(void **state) {
    (void)state;
    static uint16_t numbers[65536];
    static float out[65536];
    for (unsigned i = 0; i < 65536; i++) numbers[i] = (uint16_t)i;
    for (int brain = 0; brain < 2; brain++) {
        const mm_tensor tensor = {"n", brain ? MM_BF16 : MM_F16, 1, {65536}, numbers};
        mm_error error;
        unlink(path);
        if (mm_safetensors_write(path, &tensor, 1, &error) != MM_OK) fail_msg("%s", error.text);
        mm_safetensors *file = open_good();
        assert_int_equal(mm_safetensors_read_float(file, mm_safetensors_at(file, 0), out, &error), MM_OK);
        for (unsigned i = 0; i < 65536; i++) {
            uint32_t bits;
            double half = half_by_definition(i);
            memcpy(&bits, &out[i], 4);
            if (brain) {
                assert_int_equal(bits, i << 16);
            } else if (isnan(half)) {
                assert_true(isnan(out[i]) && bits >> 31 == i >> 15 && (bits >> 13 & 1023) == (i & 1023));
            } else {
                assert_true((double)out[i] == half && bits >> 31 == i >> 15);
            }
        }
        mm_safetensors_close(file);
    }
}

static void other_types_stand_in_it(void **state) {
    (void)state;
    put("{\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
        "\"b\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[5,8]},"
        "\"i\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[8,16]},"
        "\"f\":{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[4,5]},"
        "\"q\":{\"dtype\":\"Q77\",\"shape\":[2],\"data_offsets\":[16,19],\"more\":1},"
        "\"d\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,2],\"data_offsets\":[19,27]}}   ",
        27);
    mm_safetensors *file = open_good();
    static const char *const order[] = {"s", "f", "b", "i", "q", "d"};
    float out[2];
    mm_error error;
    assert_int_equal(mm_safetensors_count(file), 6);
    for (int i = 0; i < 6; i++) {
        const mm_safetensors_entry *entry = mm_safetensors_at(file, i);
        assert_string_equal(entry->tensor.name, order[i]); // as their bytes stand in the file
        assert_int_equal(entry->known, i == 0);
        assert_int_equal(mm_safetensors_read_float(file, entry, out, &error), i == 0 ? MM_OK : MM_TROUBLE);
    }
    assert_string_equal(mm_safetensors_find(file, "q")->type_name, "Q77");
    assert_int_equal(mm_safetensors_find(file, "s")->tensor.dims, 1);
    assert_int_equal(mm_safetensors_find(file, "s")->tensor.shape[0], 1);
    mm_safetensors_close(file);
    put("{}", 0);
    file = open_good();
    assert_int_equal(mm_safetensors_count(file), 0);
    mm_safetensors_close(file);
}

#define ONE(dtype, shape, offsets)                                                                           \
    "{\"a\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void wrong_headers_are_refused(void **state) {
    (void)state;
    put(ONE("\"F32\"", "[2]", "[0,8]"), 8);
    mm_safetensors_close(open_good());
    refuse(ONE("\"F32\"", "[2]", "[0,8]"), 9, "1 bytes behind the last tensor");
    refuse(ONE("\"F32\"", "[2]", "[0,8]"), 7, "within the 7 bytes");
    refuse(ONE("\"F32\"", "[2]", "[1,9]"), 9, "expected byte");
    refuse(ONE("\"F32\"", "[2]", "[8,0]"), 8, "data_offsets [8, 0]");
    refuse(ONE("\"F32\"", "[2]", "[-8,0]"), 8, "data_offsets [-8, 0]");
    refuse(ONE("\"F32\"", "[2]", "[0,9223372036854775807]"), 8, "within");
    refuse(ONE("\"F32\"", "[2]", "[0,18446744073709551615]"), 8, "two integers");
    refuse(ONE("\"F32\"", "[2]", "[0,8,8]"), 8, "two integers");
    refuse(ONE("\"F32\"", "[2]", "[0,8.0]"), 8, "two integers");
    refuse(ONE("\"F32\"", "[2]", "{}"), 8, "expected an array");
    refuse(ONE("\"F32\"", "[3]", "[0,8]"), 8, "expected 3 elements of 32 bits");
    refuse(ONE("\"F64\"", "[2]", "[0,8]"), 8, "expected 2 elements of 64 bits");
    refuse(ONE("\"BOOL\"", "[2]", "[0,8]"), 8, "expected 2 elements of 8 bits");
    refuse(ONE("\"F4\"", "[3]", "[0,1]"), 1, "expected 3 elements of 4 bits");
    refuse(ONE("\"F32\"", "[-2]", "[0,8]"), 8, "no integer from 0");
    refuse(ONE("\"F32\"", "[2.0]", "[0,8]"), 8, "no integer from 0");
    refuse(ONE("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0, "2^63");
    refuse(ONE("\"F32\"", "[4294967296,4294967296,0]", "[0,0]"), 0, "2^63");
    refuse(ONE("\"Q77\"", "[4611686018427387904,2]", "[0,0]"), 0, "2^63");
    refuse(ONE("\"F32\"", "[4611686018427387904]", "[0,0]"), 0,
           "expected 4611686018427387904 elements"); // * 32 is 2^67
    refuse(ONE("\"F32\"", "2", "[0,8]"), 8, "expected an array");
    refuse(ONE("32", "[2]", "[0,8]"), 8, "expected a string");
    refuse(ONE("\"F32\\u0000\"", "[2]", "[0,8]"), 8, "NUL");
    refuse("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "no \"shape\"");
    refuse("{\"a\":[]}", 0, "expected an object");
    refuse("{\"a\\u0000\":{}}", 0, "NUL");
    refuse("[]", 0, "'{'");
    refuse(" {}", 0, "'{'");
    refuse("{} x", 0, "nothing after");
    refuse("{", 0, "cut");
    refuse("", 0, "'{'");
    refuse("{\"__metadata__\":{\"a\":1}}", 0, "found \"a\" with an integer");
    refuse("{\"__metadata__\":{\"a\":\"\\u0000\"}}", 0, "NUL");
    refuse("{\"__metadata__\":[]}", 0, "an object of strings");
    refuse("{\"__metadata__\":{\"a\":\"x\",\"a\":\"x\"}}", 0, "each key once");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
           "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
           8, "each key once");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
           "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
           4, "without hole or overlap");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
           "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[5,9]}}",
           9, "without hole or overlap");
}

static void lengths_are_not_believed(void **state) {
    (void)state;
    put_n("{}", 2, 3, 0);
    refuse_file("found a header of 3 bytes, expected at most 2");
    put_n("{}", 2, UINT64_MAX, 0);
    refuse_file("expected at most 2");
    put_n("{}", 2, UINT64_MAX - 7, 0);
    refuse_file("expected at most 2");
    put_n("{}", 2, 1, 0);
    refuse_file("line 1");
    mm_error error;
    assert_int_equal(mm_publish_file(path, "1234567", 7, &error), MM_OK);
    refuse_file("found 7 bytes");
    // A header above 100 MB is refused by its length alone, even if the file is that large (it is sparse
    // here).
    put_n("{}", 2, 100000001, 0);
    assert_int_equal(truncate(path, 100000100), 0);
    refuse_file("expected at most 100000000");
    assert_int_equal(unlink(path), 0);
    refuse_file("No such file");
}

enum { SMALL = 2 };

// True if the file opens; then it must hold the two tensors with their shapes, places and widths.
static bool opens_as_itself(const uint64_t data) {
    static const int64_t shapes[SMALL][2] = {{2, 3}, {5, 1}};
    static const uint64_t bytes[SMALL] = {24, 10};
    mm_safetensors *file;
    mm_error error;
    if (mm_safetensors_open(path, &file, &error) != MM_OK) {
        assert_non_null(strstr(error.text, path));
        assert_null(strchr(error.text, '\n'));
        return false;
    }
    assert_int_equal(mm_safetensors_count(file), SMALL);
    for (int i = 0; i < SMALL; i++) {
        const mm_safetensors_entry *entry = mm_safetensors_at(file, i);
        assert_int_equal(entry->bytes, bytes[i]);
        assert_int_equal(entry->offset, data + (i == 0 ? 0 : bytes[0]));
        assert_int_equal(entry->tensor.dims, 2);
        assert_memory_equal(entry->tensor.shape, shapes[i], sizeof shapes[i]);
        if (entry->known) assert_int_equal(mm_tensor_bytes(&entry->tensor), bytes[i]);
    }
    mm_safetensors_close(file);
    return true;
}

// Every change of one byte of the length and the header is refused, or the file still holds the same tensors:
// the same number, shapes and places. What the format cannot guard, having no checksum, may change: a name, a
// key or value of the metadata, and a type into another of the same width or into an unknown one, which
// cannot be read. Every cut and every byte more is refused.
static void no_damage_passes(void **state) {
    (void)state;
    float a[6] = {0};
    uint16_t b[5] = {0};
    const mm_tensor tensors[SMALL] = {mm_tensor_2d("w", a, 2, 3),
                                      {.name = "v", .type = MM_BF16, .dims = 2, .shape = {5, 1}, .data = b}};
    mm_error error;
    if (mm_safetensors_write(path, tensors, SMALL, &error) != MM_OK) fail_msg("%s", error.text);
    char *bytes;
    size_t size;
    assert_int_equal(mm_read_file(path, 10000, &bytes, &size, &error), MM_OK);
    uint64_t data = size - 34;
    assert_true(opens_as_itself(data));
    int fd = open(path, O_RDWR), passed = 0;
    assert_true(fd >= 0);
    for (size_t at = 0; at < data; at++) {
        for (int change = 1; change < 256; change++) {
            char wrong = (char)(bytes[at] ^ change);
            assert_int_equal(pwrite(fd, &wrong, 1, (off_t)at), 1);
            bool opens = opens_as_itself(data);
            assert_false(opens && at < 8);
            passed += opens;
        }
        assert_int_equal(pwrite(fd, &bytes[at], 1, (off_t)at), 1);
    }
    printf("%d changes of %d gave the same tensors\n", passed, (int)data * 255);
    assert_int_equal(ftruncate(fd, (off_t)size + 1), 0);
    assert_false(opens_as_itself(data));
    for (size_t cut = size; cut-- > 0;) {
        assert_int_equal(ftruncate(fd, (off_t)cut), 0);
        assert_false(opens_as_itself(data));
    }
    close(fd);
    free(bytes);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(tensors_come_back),        EACH(all_of_16_bits_are_widened_exactly),
        EACH(other_types_stand_in_it),  EACH(wrong_headers_are_refused),
        EACH(lengths_are_not_believed), EACH(no_damage_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
