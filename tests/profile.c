// A profile's rows sum to the workers' time; a mark takes what went before it; GEMM is counted where the next
// mark says; who waits is charged for waiting.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mm/base/clock.h>
#include <mm/base/par.h>
#include <mm/base/profile.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

static const double part = 0.02, slack = 0.5; // seconds; of a part, what a busy machine may add

// The clock, not sleep: a sleeper may wake late.
static void spend(double seconds) {
    double end = mm_clock_seconds() + seconds;
    while (mm_clock_seconds() < end) continue;
}

static mm_profile_sum *start(int workers) {
    mm_profile_sum *sum = malloc(sizeof *sum);
    assert_non_null(sum);
    assert_int_equal(mm_profile_start(workers, NULL), MM_OK);
    return sum;
}

static double seconds_of(const mm_profile_sum *sum, mm_profile_op op) {
    double seconds = 0;
    for (int pass = 0; pass < MM_PROFILE_PASSES; pass++) seconds += sum->rows[op][pass].seconds;
    return seconds;
}

static void check_sum(const mm_profile_sum *sum) {
    double seconds = 0;
    for (int op = 0; op < MM_PROFILE_OPS; op++) seconds += seconds_of(sum, (mm_profile_op)op);
    double all = sum->workers * sum->seconds;
    assert_true(seconds > all - 1e-6 && seconds < all + 1e-6);
}

// Worker 1 works twice as long as worker 0.
static void work(void *self, int worker) {
    (void)self;
    spend(part);
    mm_profile_mark(MM_PROFILE_QKV, MM_PASS_FORWARD);
    spend(part * worker);
    mm_profile_mark(MM_PROFILE_DOWN, MM_PASS_BACKWARD);
}

static void rows_sum_to_the_workers_time(void **state) {
    (void)state;
    mm_profile_sum *sum = start(2);
    mm_par_run(2, work, NULL);
    spend(part);
    mm_profile_mark(MM_PROFILE_METRICS, MM_PASS_NONE);
    mm_par_run(2, work, NULL);
    mm_profile_stop(sum);
    check_sum(sum);
    assert_int_equal(sum->workers, 2);
    assert_true(sum->rows[MM_PROFILE_QKV][MM_PASS_FORWARD].seconds >= 4 * part);
    assert_true(sum->rows[MM_PROFILE_DOWN][MM_PASS_BACKWARD].seconds >= 2 * part);
    assert_true(sum->rows[MM_PROFILE_QKV][MM_PASS_BACKWARD].seconds == 0);
    assert_true(seconds_of(sum, MM_PROFILE_METRICS) >= part);
    // Worker 1 has nothing to do while worker 0 works alone.
    assert_true(seconds_of(sum, MM_PROFILE_SERIAL) >= (1 - slack) * part);
    free(sum);
}

// Worker 1 begins its work when worker 0 has ended its own, so that no scheduler can make up the difference.
static void work_after(void *self, int worker) {
    atomic_bool *done = self;
    if (worker == 0) {
        atomic_store(done, true);
        return;
    }
    while (!atomic_load(done)) continue;
    spend(5 * part);
    mm_profile_mark(MM_PROFILE_QKV, MM_PASS_FORWARD);
}

// One core or a busy one may run the workers one after another: then worker 0 waits longer, never shorter.
static void who_is_done_first_waits(void **state) {
    (void)state;
    atomic_bool done = false;
    mm_profile_sum *sum = start(2);
    mm_par_run(2, work_after, &done);
    mm_profile_stop(sum);
    assert_true(seconds_of(sum, MM_PROFILE_WAIT) >= (1 - slack) * part);
    free(sum);
}

static void wait_in_team(void *self, const mm_team *team, int worker) {
    atomic_bool *arrived = self;
    if (worker == 0) {
        atomic_store(arrived, true);
    } else {
        while (!atomic_load(arrived)) continue;
        spend(2 * part);
    }
    mm_team_wait(team);
    mm_profile_mark(MM_PROFILE_QKV, MM_PASS_FORWARD);
}

static void waiting_in_a_team_is_not_the_operations(void **state) {
    (void)state;
    atomic_bool arrived = false;
    mm_profile_sum *sum = start(2);
    mm_par_team(2, wait_in_team, &arrived);
    mm_profile_stop(sum);
    check_sum(sum);
    double waited = seconds_of(sum, MM_PROFILE_WAIT), worked = seconds_of(sum, MM_PROFILE_QKV);
    assert_true(worked >= 2 * part);
    assert_true(waited >= 2 * (1 - slack) * part);
    assert_true(waited + worked <= 2 * sum->seconds + 1e-6);
    free(sum);
}

static void a_stage_takes_all_workers_time(void **state) {
    (void)state;
    mm_profile_sum *sum = start(2);
    mm_profile_stage(MM_PROFILE_VALIDATION);
    mm_par_run(2, work, NULL);
    spend(part);
    mm_profile_stage(MM_PROFILE_OTHER);
    mm_profile_stop(sum);
    check_sum(sum);
    assert_true(seconds_of(sum, MM_PROFILE_VALIDATION) >= 6 * part - 1e-6);
    assert_true(seconds_of(sum, MM_PROFILE_QKV) == 0 && seconds_of(sum, MM_PROFILE_WAIT) == 0);
    free(sum);
}

static void run_gemms(void *self, int worker) {
    (void)self;
    for (int i = 0; i < 1000; i++) {
        mm_profile_gemm shape = {.m = 1 + i % 10, .n = 2, .k = 3, .transpose_b = worker == 1};
        mm_profile_gemm_ended(&shape, mm_clock_seconds());
    }
    mm_profile_mark(MM_PROFILE_ATTENTION, MM_PASS_FORWARD);
}

static void gemms_are_listed_by_shape(void **state) {
    (void)state;
    mm_profile_sum *sum = start(2);
    assert_true(mm_profile_gemm_seconds() == 0);
    mm_par_run(2, run_gemms, NULL);
    const double so_far = mm_profile_gemm_seconds();
    mm_profile_stop(sum);
    assert_int_equal(sum->gemm_count, 20);
    for (int i = 0; i < 20; i++) assert_int_equal(sum->gemms[i].calls, 100);
    assert_int_equal(sum->gemms_left_out, 0);
    const mm_profile_row *row = &sum->rows[MM_PROFILE_ATTENTION][MM_PASS_FORWARD];
    assert_true(row->gemm_flops == 2 * 100 * 55 * 2.0 * 2 * 3);
    assert_true(row->gemm_seconds > 0 && row->gemm_seconds <= row->seconds);
    assert_true(so_far == row->gemm_seconds);
    free(sum);
}

static void shapes_beyond_the_table_are_counted(void **state) {
    (void)state;
    mm_profile_sum *sum = start(1);
    for (int i = 0; i < MM_PROFILE_GEMMS + 7; i++) {
        mm_profile_gemm shape = {.m = 1, .n = i, .k = 3};
        mm_profile_gemm_ended(&shape, mm_clock_seconds());
    }
    mm_profile_stop(sum);
    assert_int_equal(sum->gemm_count, MM_PROFILE_GEMMS);
    assert_int_equal(sum->gemms_left_out, 7);
    free(sum);
}

static void look_for_a_profile(void *self, int worker) {
    ((bool *)self)[worker] = mm_profile_mine != NULL;
}

static void nobody_profiles_before_and_after(void **state) {
    (void)state;
    bool seen[2] = {true, true};
    mm_par_run(2, look_for_a_profile, seen);
    assert_true(!seen[0] && !seen[1] && !mm_profile_mine);
    mm_profile_sum *sum = start(2);
    mm_par_run(2, look_for_a_profile, seen);
    assert_true(seen[0] && seen[1] && mm_profile_mine);
    mm_profile_stop(sum);
    mm_par_run(2, look_for_a_profile, seen);
    assert_true(!seen[0] && !seen[1] && !mm_profile_mine);
    mm_profile_stage(MM_PROFILE_VALIDATION); // nothing
    free(sum);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_sum_to_the_workers_time),
        cmocka_unit_test(who_is_done_first_waits),
        cmocka_unit_test(waiting_in_a_team_is_not_the_operations),
        cmocka_unit_test(a_stage_takes_all_workers_time),
        cmocka_unit_test(gemms_are_listed_by_shape),
        cmocka_unit_test(shapes_beyond_the_table_are_counted),
        cmocka_unit_test(nobody_profiles_before_and_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
