// Fingerprints are XXH3-128 as `xxh128sum` prints it, whether taken at once, in pieces or by rows.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "../src/base/hash_kernels.h"
#include <cmocka.h>
#include <mm/base/isa.h>
#include <string.h>

static void fill(unsigned char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)(i * 7 + i / 251);
}

// Expected texts are xxh128sum's (xxHash 0.8.1) for the same bytes.
static void hashes_are_those_of_xxh128sum(void **state) {
    (void)state;
    unsigned char bytes[2000];
    fill(bytes, sizeof bytes);
    static const struct {
        size_t size;
        const char *expected;
    } known[] = {
        // The algorithm has other branches for up to 16, 128, 240 bytes and beyond.
        {0, "99aa06d3014798d86001c324468d497f"},   {3, "656e81c56e41fe02c3489259e968ad9e"},
        {16, "ddf6c1254d70f76794eaa17b20756f46"},  {100, "858be3b5082c7eb73dc31a0ba04530cd"},
        {200, "dbfff5e13c798ab90497bdb3d145ccd6"}, {2000, "966d2538218665bffcff980b88dc3a68"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char text[MM_HASH_TEXT];
        assert_string_equal(mm_hash_print(mm_hash_bytes(bytes, known[i].size), text), known[i].expected);
    }
    char text[MM_HASH_TEXT];
    assert_string_equal(mm_hash_print(mm_hash_bytes("abc", 3), text), "06b05ab6733a618578af5f94892f3950");
    assert_string_equal(mm_hash_print(mm_hash_bytes(NULL, 0), text), known[0].expected);
}

static void pieces_and_rows_give_the_hash_of_the_whole(void **state) {
    (void)state;
    unsigned char bytes[2000], strided[2000 * 2];
    fill(bytes, sizeof bytes);
    mm_hash whole = mm_hash_bytes(bytes, sizeof bytes);
    mm_hasher *hasher = mm_hasher_new();
    assert_non_null(hasher);
    for (size_t piece = 1; piece <= sizeof bytes; piece = 2 * piece + 1) {
        mm_hasher_reset(hasher);
        for (size_t at = 0; at < sizeof bytes; at += piece) {
            // Asking for the hash so far changes nothing.
            assert_true(mm_hash_equal(mm_hasher_end(hasher), mm_hash_bytes(bytes, at)));
            mm_hasher_add(hasher, bytes + at, piece < sizeof bytes - at ? piece : sizeof bytes - at);
        }
        mm_hasher_add(hasher, NULL, 0);
        assert_true(mm_hash_equal(mm_hasher_end(hasher), whole));
    }
    mm_hasher_free(hasher);
    mm_hasher_free(NULL);
    for (size_t rows = 1; rows <= 2000; rows *= 2) {
        size_t row_bytes = sizeof bytes / rows, stride = 2 * row_bytes;
        if (rows * row_bytes != sizeof bytes) break;
        memset(strided, 0xee, sizeof strided);
        for (size_t r = 0; r < rows; r++) memcpy(strided + r * stride, bytes + r * row_bytes, row_bytes);
        assert_true(mm_hash_equal(mm_hash_rows(strided, rows, row_bytes, stride), whole));
        assert_true(mm_hash_equal(mm_hash_rows(bytes, rows, row_bytes, row_bytes), whole));
    }
    assert_true(mm_hash_equal(mm_hash_rows(bytes, 0, 8, 16), mm_hash_bytes(NULL, 0)));
}

// At once, by rows and in pieces, for sizes on both sides of the algorithm's branches and of its buffer.
static void builds_agree(void **state) {
    (void)state;
    enum { SIZE = 70000 };
    static const mm_hash_kernels *const builds[] = MM_BUILDS(mm_hash);
    static unsigned char bytes[SIZE];
    fill(bytes, SIZE);
    for (mm_isa isa = MM_ISA_BASELINE; isa <= mm_isa_best(); isa++) {
        const mm_hash_kernels *k = builds[isa];
        void *pieces = k->new_state();
        assert_non_null(pieces);
        for (size_t size = 0; size <= SIZE; size = size * 5 / 4 + 1) {
            const mm_hash want = mm_hash_baseline.bytes(bytes, size);
            assert_true(mm_hash_equal(k->bytes(bytes, size), want));
            const mm_hash rows = mm_hash_baseline.rows(bytes, size / 7, 5, 7);
            assert_true(mm_hash_equal(k->rows(bytes, size / 7, 5, 7), rows));
            k->begin(pieces);
            k->add(pieces, bytes, size / 3);
            k->add(pieces, bytes + size / 3, size - size / 3);
            assert_true(mm_hash_equal(k->end(pieces), want));
        }
        k->free_state(pieces);
    }
}

static void printing_and_parsing_are_inverse(void **state) {
    (void)state;
    const mm_hash hash = {.low = 0x0123456789abcdef, .high = 0xfedcba9876543210};
    mm_hash back = {0};
    char text[MM_HASH_TEXT];
    assert_string_equal(mm_hash_print(hash, text), "fedcba98765432100123456789abcdef");
    assert_true(mm_hash_parse(text, &back) && mm_hash_equal(back, hash));
    const mm_hash low = {.low = hash.low + 1, .high = hash.high},
                  high = {.low = hash.low, .high = hash.high + 1};
    assert_false(mm_hash_equal(hash, low) || mm_hash_equal(hash, high));
    static const char *const bad[] = {
        "",
        "fedcba98765432100123456789abcde",
        "fedcba98765432100123456789abcdef0",
        "fedcba98765432100123456789abcdeF",
        "fedcba98765432100123456789abcdeg",
        " fedcba98765432100123456789abcdef",
        "0xfedcba98765432100123456789abcd",
        "fedcba98765432100123456789abcdef\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(mm_hash_parse(bad[i], &back));
        assert_true(mm_hash_equal(back, hash)); // left as it was
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_xxh128sum),
        cmocka_unit_test(pieces_and_rows_give_the_hash_of_the_whole),
        cmocka_unit_test(builds_agree),
        cmocka_unit_test(printing_and_parsing_are_inverse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
