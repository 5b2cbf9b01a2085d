// The time that is left, by simulated clocks: from a twentieth of the run on it is right within a tenth where
// the machine keeps its speed, and follows where it does not.
#include "../src/pace.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STEPS_MOST = 2000 };

// What takes how long, and what the pace believed after each step.
typedef struct scenario {
    int64_t first, steps;
    double step, first_step; // seconds; first_step as many times that
    double noise;            // +- this share of each step
    int64_t hiccup_every;    // a step of 5 times as long; 0: none
    int64_t slower_from;     // steps from here on take twice as long; 0: none
    mm_pace_cost costs[MM_PACE_PARTS];
    double takes[MM_PACE_PARTS]; // seconds
} scenario;

static uint64_t drawn;

static double draw(void) { // in -1..1
    drawn = drawn * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)drawn * 0x1p-63;
}

static double step_seconds(const scenario *s, int64_t step) {
    double seconds = s->step * (1 + s->noise * draw());
    if (step == s->first + 1 && s->first_step > 0) seconds *= s->first_step;
    if (s->hiccup_every && step % s->hiccup_every == 0) seconds *= 5;
    if (s->slower_from && step >= s->slower_from) seconds *= 2;
    return seconds;
}

// After the step and its validation; a sample and a checkpoint of the step are still to come.
static double simulate(const scenario *s, double left[], double at[]) {
    mm_pace p = {.first = s->first, .last = s->steps};
    memcpy(p.costs, s->costs, sizeof p.costs);
    double now = 1e6;
    mm_pace_begin(&p, now);
    for (int64_t step = s->first + 1; step <= s->steps; step++) {
        now += step_seconds(s, step);
        mm_pace_mark(&p, MM_PACE_STEP, now);
        for (int part = MM_PACE_VALIDATION; part < MM_PACE_PARTS; part++) {
            const mm_pace_cost *c = &s->costs[part];
            bool due = (c->every && step % c->every == 0) || (c->at_end && step == s->steps);
            if (due) now += s->takes[part];
            if (due) mm_pace_mark(&p, (mm_pace_part)part, now);
            if (part != MM_PACE_VALIDATION) continue;
            left[step] = mm_pace_left(&p);
            at[step] = now;
        }
    }
    return now;
}

// The largest error, relative to the true time left, between the shares `from` and `to` of the run's time and
// from the third step on. At
// the very end a step more or less is not an error that anyone sees: it counts for a step.
static double worst(const scenario *s, double from, double to) {
    static double left[STEPS_MOST + 1], at[STEPS_MOST + 1];
    double end = simulate(s, left, at), began = 1e6, most = 0;
    for (int64_t step = s->first + 3; step < s->steps; step++) {
        double share = (at[step] - began) / (end - began), truth = end - at[step];
        if (share < from || share > to) continue;
        assert_true(left[step] >= 0);
        double error = fabs(left[step] - truth) - s->step;
        if (error / truth > most) most = error / truth;
    }
    return most;
}

static void a_constant_speed_is_told_within_a_tenth(void **state) {
    (void)state;
    mm_pace_cost validation = {.every = 50, .at_end = true, .steps = 5},
                 save = {.every = 100, .at_end = true, .seconds = 0.4},
                 sample = {.every = 30, .at_end = true, .seconds = 1};
    const scenario scenarios[] = {
        {.steps = 300, .step = 1},
        {.steps = 60, .step = 1, .first_step = 6},
        {.steps = 300, .step = 0.02, .first_step = 20, .noise = 0.1},
        {.steps = 2000, .step = 3, .noise = 0.1},
        {.steps = 300, .step = 1, .noise = 0.1, .hiccup_every = 61},
        {.steps = 300,
         .step = 1,
         .noise = 0.1,
         .first_step = 3,
         .costs = {[MM_PACE_VALIDATION] = validation},
         .takes = {[MM_PACE_VALIDATION] = 6}},
        {.steps = 1000,
         .step = 0.5,
         .noise = 0.1,
         .first_step = 3,
         .costs = {[MM_PACE_VALIDATION] = validation, [MM_PACE_SAVE] = save, [MM_PACE_SAMPLE] = sample},
         .takes = {[MM_PACE_VALIDATION] = 3, [MM_PACE_SAVE] = 0.5, [MM_PACE_SAMPLE] = 1.2}},
        {.first = 150,
         .steps = 300,
         .step = 1,
         .noise = 0.1, // gone on with
         .costs = {[MM_PACE_VALIDATION] = validation, [MM_PACE_SAVE] = save},
         .takes = {[MM_PACE_VALIDATION] = 6, [MM_PACE_SAVE] = 0.5}},
    };
    for (uint64_t seed = 1; seed <= 20; seed++)
        for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
            drawn = seed;
            double error = worst(&scenarios[i], 0.05, 1);
            if (error > 0.1) fail_msg("scenario %zu, seed %d: %.0f%% wrong", i, (int)seed, 100 * error);
        }
}

// Half way the machine is given to somebody else: soon after, the time left is right again.
static void a_change_of_speed_is_followed(void **state) {
    (void)state;
    drawn = 1;
    const scenario s = {.steps = 600, .step = 1, .noise = 0.1, .slower_from = 301};
    assert_true(worst(&s, 0.05, 0.3) > 0.1); // nobody can know
    assert_true(worst(&s, 0.6, 1) <= 0.1);
}

static void nothing_is_said_before_the_third_step(void **state) {
    (void)state;
    mm_pace p = {.last = 10};
    mm_pace_begin(&p, 5);
    assert_true(mm_pace_step_seconds(&p) == 0);
    mm_pace_mark(&p, MM_PACE_STEP, 9); // the first is slow
    assert_true(mm_pace_step_seconds(&p) == 4 && mm_pace_left(&p) < 0);
    mm_pace_mark(&p, MM_PACE_STEP, 10);
    assert_true(mm_pace_step_seconds(&p) == 1 && mm_pace_left(&p) < 0);
    mm_pace_mark(&p, MM_PACE_STEP, 11);
    assert_true(mm_pace_left(&p) == 7);
}

// Documents are of many lengths, and so are batches of them: the rate is not one step's.
static void tokens_a_second_are_those_of_many_steps(void **state) {
    (void)state;
    mm_pace p = {.last = 100};
    mm_pace_begin(&p, 0);
    assert_true(mm_pace_tokens_per_second(&p) == 0);
    mm_pace_step(&p, 30, 3);
    assert_true(mm_pace_tokens_per_second(&p) == 10);
    for (int step = 1; step <= 40; step++) mm_pace_step(&p, step % 2 ? 10 : 1990, 3 + 2 * step);
    assert_true(mm_pace_tokens_per_second(&p) == 500);
    // A step of 9 times as many targets in 9 times the time is no other rate, though it counts for less.
    p = (mm_pace){.last = 100};
    mm_pace_begin(&p, 0);
    for (int step = 1; step <= 40; step++) mm_pace_step(&p, 1000, 2 * step);
    mm_pace_step(&p, 9 * 1000, 80 + 18);
    assert_true(mm_pace_tokens_per_second(&p) == 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_constant_speed_is_told_within_a_tenth),
        cmocka_unit_test(a_change_of_speed_is_followed),
        cmocka_unit_test(nothing_is_said_before_the_third_step),
        cmocka_unit_test(tokens_a_second_are_those_of_many_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
