// Numbers of 16 bits: all of them come back, and what lies between two goes to the nearer one.
#include <mm/base/half.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

typedef struct kind {
    float (*from)(uint16_t);
    uint16_t (*to)(float);
    unsigned infinite; // its infinity; the numbers below are finite
} kind;

static const kind kinds[] = {{mm_from_f16, mm_to_f16, 0x7c00}, {mm_from_bf16, mm_to_bf16, 0x7f80}};

static void all_come_back(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        for (unsigned bits = 0; bits < 65536; bits++) {
            float value = kinds[k].from((uint16_t)bits);
            unsigned back = kinds[k].to(value);
            bool nan = (bits & 0x7fff) > kinds[k].infinite;
            assert_true(nan == (bool)isnan(value));
            if (nan)
                assert_true((back & 0x7fff) > kinds[k].infinite);
            else
                assert_int_equal(back, bits);
        }
    }
}

// A neighbour of a positive float.
static float step(float value, int by) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits += (uint32_t)by;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// Every middle of two neighbours is a float. Behind the largest number the next step of the scale stands for
// infinity (IEEE 754, 4.3.1).
static void between_two_the_nearer_one_is_taken(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        for (unsigned bits = 0; bits < kinds[k].infinite; bits++) {
            double low = kinds[k].from((uint16_t)bits), high = kinds[k].from((uint16_t)(bits + 1));
            if (bits + 1 == kinds[k].infinite) high = 2 * low - kinds[k].from((uint16_t)(bits - 1));
            float middle = (float)(low + (high - low) / 2);
            assert_true((double)middle - low == high - middle);
            unsigned even = bits % 2 ? bits + 1 : bits;
            for (unsigned sign = 0; sign < 2; sign++) {
                float one = sign ? -1 : 1;
                unsigned mark = sign << 15;
                assert_int_equal(kinds[k].to(one * middle), even | mark);
                assert_int_equal(kinds[k].to(one * step(middle, -1)), bits | mark);
                assert_int_equal(kinds[k].to(one * step(middle, 1)), (bits + 1) | mark);
            }
        }
    }
    assert_int_equal(mm_to_f16(0x1p-149f), 0);
    assert_int_equal(mm_to_f16(-0.0f), 0x8000);
    assert_int_equal(mm_to_f16(3.4e38f), 0x7c00);
    assert_int_equal(mm_to_bf16(3.4028235e38f), 0x7f80);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_come_back),
        cmocka_unit_test(between_two_the_nearer_one_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
