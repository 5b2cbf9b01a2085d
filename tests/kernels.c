// Every build of the kernels is there and whole, and what runs is the build that was asked for.
#include <mm/ops/kernels.h>
#include <mm/optim/adamw.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void tables_are_whole(void **state) {
    (void)state;
    for (mm_isa isa = MM_ISA_BASELINE; isa <= MM_ISA_V4; isa++) {
        const mm_kernels *k = mm_kernels_for(isa);
        assert_non_null(k);
        assert_true(k->rmsnorm->forward && k->rmsnorm->backward && k->rope->forward && k->rope->backward);
        assert_true(k->attention->forward && k->attention->backward && k->swiglu->forward &&
                    k->swiglu->backward);
        assert_true(k->embedding->forward && k->embedding->backward && k->dropout->apply);
        assert_true(k->cross_entropy->forward && k->cross_entropy->backward && k->bias->forward &&
                    k->bias->backward && k->gemv->run && k->attention_query->forward);
        const mm_optim_kernels *o = mm_optim_kernels_for(isa);
        assert_true(o->adamw && o->sum_squares);
    }
}

static void each_build_is_its_own(void **state) {
    (void)state;
#if defined(__x86_64__)
    for (mm_isa isa = MM_ISA_BASELINE; isa <= MM_ISA_V4; isa++) {
        assert_int_equal(mm_kernels_for(isa)->isa, isa);
        for (mm_isa other = MM_ISA_BASELINE; other < isa; other++) {
            assert_true(mm_kernels_for(isa)->swiglu->forward != mm_kernels_for(other)->swiglu->forward);
            assert_true(mm_kernels_for(isa)->attention->forward != mm_kernels_for(other)->attention->forward);
            assert_true(mm_optim_kernels_for(isa)->adamw != mm_optim_kernels_for(other)->adamw);
        }
    }
#else
    assert_int_equal(mm_kernels_for(MM_ISA_V4)->isa, MM_ISA_BASELINE);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_whole),
        cmocka_unit_test(each_build_is_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
