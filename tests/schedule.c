// The learning rate against its formula by libm's cos, at its corners, and its bits.
#include <math.h>
#include <mm/base/hash.h>
#include <mm/optim/schedule.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void minimind_is_its_formula(void **state) {
    (void)state;
    static const int64_t warmups[] = {0, 1, 20, 299};
    for (int w = 0; w < 4; w++)
        for (int64_t t = warmups[w] + 1; t <= 300; t++) {
            const double x = acos(-1) * (double)(t - warmups[w]) / (double)(300 - warmups[w]);
            const double want = 5e-4 * (0.1 + 0.45 * (1 + cos(x)));
            // Both cosines are within 2 ulp; the rest rounds four times.
            assert_true(fabs(mm_schedule_lr(MM_SCHEDULE_MINIMIND, 5e-4, warmups[w], 300, t) - want) <=
                        5e-4 * 8 * 0x1p-53);
        }
}

static void corners(void **state) {
    (void)state;
    for (int s = MM_SCHEDULE_MINIMIND; s <= MM_SCHEDULE_CONSTANT; s++) {
        assert_true(mm_schedule_lr((mm_schedule)s, 3e-3, 20, 300, 1) == 3e-3 * 1 / 20);
        assert_true(mm_schedule_lr((mm_schedule)s, 3e-3, 20, 300, 19) == 3e-3 * 19 / 20);
        assert_true(mm_schedule_lr((mm_schedule)s, 3e-3, 20, 300, 20) == 3e-3);
        assert_true(mm_schedule_lr((mm_schedule)s, 3e-3, 20, 10, 10) ==
                    3e-3 * 10 / 20); // ends in its warm-up
    }
    assert_true(mm_schedule_lr(MM_SCHEDULE_CONSTANT, 3e-3, 0, 300, 1) == 3e-3);
    assert_true(mm_schedule_lr(MM_SCHEDULE_CONSTANT, 3e-3, 20, 300, 5000) == 3e-3);
    assert_true(fabs(mm_schedule_lr(MM_SCHEDULE_MINIMIND, 1, 0, 300, 300) - 0.1) < 1e-15);
    assert_true(fabs(mm_schedule_lr(MM_SCHEDULE_MINIMIND, 1, 0, 1, 1) - 0.1) < 1e-15);
}

static void bits_are_the_same_everywhere(void **state) {
    (void)state;
    double lr[1000];
    char text[MM_HASH_TEXT];
    for (int64_t t = 1; t <= 1000; t++) lr[t - 1] = mm_schedule_lr(MM_SCHEDULE_MINIMIND, 5e-4, 37, 1000, t);
    assert_string_equal(mm_hash_print(mm_hash_bytes(lr, sizeof lr), text),
                        "6530b619420f80276e2b42682a3fbd06");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minimind_is_its_formula),
        cmocka_unit_test(corners),
        cmocka_unit_test(bits_are_the_same_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
