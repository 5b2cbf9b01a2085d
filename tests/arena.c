// An arena: what was measured fits, what is handed out is aligned, zero and apart, and
// memory that is not to be had is an error with a sentence.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mm/base/arena.h>
#include <mm/base/tensor.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OBJECTS = 6 };
static const size_t counts[OBJECTS] = {1, 3, 0, 1000, 17, 100000}, sizes[OBJECTS] = {1, 8, 4, 12, 64, 4};

static void lay_out(mm_arena *arena, unsigned char *objects[OBJECTS]) {
    for (int i = 0; i < OBJECTS; i++) objects[i] = mm_arena_take(arena, counts[i], sizes[i]);
}

static void what_was_measured_fits(void **state) {
    (void)state;
    unsigned char *objects[OBJECTS];
    mm_arena measure = mm_arena_measure(), arena;
    lay_out(&measure, objects);
    for (int i = 0; i < OBJECTS; i++) assert_null(objects[i]);
    mm_error error;
    assert_int_equal(mm_arena_open(&arena, measure.used, &error), MM_OK);
    assert_true((uintptr_t)arena.base % (2 << 20) == 0);
    lay_out(&arena, objects);
    assert_true(arena.used == measure.used && arena.size == measure.used);
    for (int i = 0; i < OBJECTS; i++) {
        size_t size = counts[i] * sizes[i];
        assert_non_null(objects[i]);
        assert_true((uintptr_t)objects[i] % MM_ARENA_ALIGNMENT == 0);
        for (size_t k = 0; k < size; k++) assert_int_equal(objects[i][k], 0);
        memset(objects[i], i + 1, size);
    }
    for (int i = 0; i < OBJECTS; i++)
        for (size_t k = 0; k < counts[i] * sizes[i]; k++) assert_int_equal(objects[i][k], i + 1);
    mm_arena_close(&arena);
    mm_arena_close(&arena); // a closed one is empty
    mm_arena_close(&measure);
    assert_null(arena.base);
}

static void check_trouble(size_t size, const char *reason) {
    mm_arena arena;
    mm_error error = {.text = ""};
    assert_int_equal(mm_arena_open(&arena, size, &error), MM_TROUBLE);
    assert_null(arena.base);
    assert_non_null(strstr(error.text, "memory: "));
    assert_non_null(strstr(error.text, reason));
    mm_arena_close(&arena);
}

static void memory_that_is_not_to_be_had_is_trouble(void **state) {
    (void)state;
    check_trouble(SIZE_MAX, "no process can address");
    check_trouble(SIZE_MAX - 4096, "no process can address");
    check_trouble(PTRDIFF_MAX, "no process can address");
    check_trouble((size_t)1 << 50, "TiB needed, but"); // 1 PiB: can be addressed, but not had
}

static void it_is_known_what_bounds_memory(void **state) {
    (void)state;
    assert_false(mm_memory_is_limited());
    mm_memory_limit(1);
    assert_true(mm_memory_is_limited() && mm_memory_available() == 0);
    mm_memory_limit(1e18);
    assert_false(mm_memory_is_limited());
}

// Runs `work` in a child, silently; returns the status that wait gives.
static int in_child(void (*work)(void)) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        work();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void take_too_much(void) {
    mm_arena arena;
    if (mm_arena_open(&arena, 1000, NULL) == MM_OK) mm_arena_take(&arena, 1, 1001);
}

static void take_overflowing(void) {
    mm_arena arena;
    if (mm_arena_open(&arena, 1000, NULL) == MM_OK) mm_arena_take(&arena, SIZE_MAX / 2, 4);
}

// Bytes of address space in use.
static rlim_t address_space(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;
    if (!file || fscanf(file, "%ld", &pages) != 1) _exit(2);
    fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void address_space_is_full(void) {
    rlim_t little = address_space() + ((rlim_t)64 << 20);
    const struct rlimit limit = {little, little};
    struct rlimit set;
    if (setrlimit(RLIMIT_AS, &limit) || getrlimit(RLIMIT_AS, &set) || set.rlim_cur != little) _exit(77);
    mm_arena arena;
    mm_error error;
    mm_status status = mm_arena_open(&arena, (size_t)128 << 20, &error);
    if (status != MM_TROUBLE || arena.base || !strstr(error.text, "memory: ")) _exit(1);
}

static void overruns_stop_the_program(void **state) {
    (void)state;
    int status = in_child(take_too_much);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    status = in_child(take_overflowing);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void what_is_beyond_all_memory_is_measured_and_refused(void **state) {
    (void)state;
    static const size_t takes[][2] = {{SIZE_MAX / 2, 4}, {PTRDIFF_MAX, 1}, {(size_t)1 << 62, 1}};
    for (size_t i = 0; i < sizeof takes / sizeof *takes; i++) {
        mm_arena measure = mm_arena_measure(), arena;
        mm_error error;
        assert_null(mm_arena_take(&measure, 1, 1));
        assert_null(mm_arena_take(&measure, takes[i][0], takes[i][1]));
        assert_null(mm_arena_take(&measure, takes[i][0], takes[i][1]));
        assert_true(measure.used == PTRDIFF_MAX && mm_arena_resident(measure.used) >= measure.used);
        assert_int_equal(mm_arena_open(&arena, measure.used, &error), MM_TROUBLE);
        assert_non_null(strstr(error.text, "no process can address"));
    }
}

static void a_refused_mapping_is_trouble(void **state) {
    (void)state;
    int status = in_child(address_space_is_full);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) skip(); // an emulator does not limit what it runs
    assert_int_equal(status, 0);
}

static void tensors_know_their_size(void **state) {
    (void)state;
    float data[6];
    mm_tensor one = mm_tensor_1d("norm", data, 6), two = mm_tensor_2d("weight", data, 2, 3);
    assert_true(one.dims == 1 && one.shape[0] == 6 && one.data == data && one.type == MM_F32);
    assert_true(two.dims == 2 && two.shape[0] == 2 && two.shape[1] == 3);
    assert_true(mm_tensor_count(&two) == 6 && mm_tensor_bytes(&two) == sizeof data);
    two.type = MM_BF16;
    assert_true(mm_tensor_bytes(&two) == 12);
    static const struct {
        mm_type type;
        size_t bytes;
        const char *name;
    } types[] = {{MM_F32, 4, "F32"}, {MM_F64, 8, "F64"}, {MM_F16, 2, "F16"}, {MM_BF16, 2, "BF16"},
                 {MM_I32, 4, "I32"}, {MM_U32, 4, "U32"}, {MM_U64, 8, "U64"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        assert_int_equal(mm_type_bytes(types[i].type), types[i].bytes);
        assert_string_equal(mm_type_name(types[i].type), types[i].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_measured_fits),
        cmocka_unit_test(memory_that_is_not_to_be_had_is_trouble),
        cmocka_unit_test(it_is_known_what_bounds_memory),
        cmocka_unit_test(overruns_stop_the_program),
        cmocka_unit_test(what_is_beyond_all_memory_is_measured_and_refused),
        cmocka_unit_test(a_refused_mapping_is_trouble),
        cmocka_unit_test(tensors_know_their_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
