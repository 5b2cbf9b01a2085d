// The tree's sum is fixed by the leaves alone: any number of workers in any order of time gives the bits of
// the plain recursive definition, and never needs more buffers than it says.
#include <math.h>
#include <mm/base/par.h>
#include <mm/rank/reduce.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { FLOATS = 37 };

// A number whose sums depend on their order.
static float number(int64_t leaf, int i) {
    uint32_t x = (uint32_t)(leaf * 2654435761u + (unsigned)i * 40503u + 12345u);
    x ^= x >> 15;
    x *= 0x2c1b3c6du;
    x ^= x >> 12;
    return ((float)(x >> 8) - 8388608.0f) * (1.0f / (float)(1 << (x & 15)));
}

static void definition(int64_t leaves, int level, int64_t index, float *out, double *loss) {
    if (level == 0) {
        for (int i = 0; i < FLOATS; i++) out[i] = 0.0f + number(index, i);
        *loss = (double)number(index, 1000);
        return;
    }
    definition(leaves, level - 1, 2 * index, out, loss);
    if (2 * index + 1 >= mm_tree_width(leaves, level - 1)) return;
    float right[FLOATS];
    double right_loss;
    definition(leaves, level - 1, 2 * index + 1, right, &right_loss);
    for (int i = 0; i < FLOATS; i++) out[i] += right[i];
    *loss += right_loss;
}

typedef struct job {
    mm_tree *tree;
    int64_t leaves, stop_at; // stop_at: this leaf is not given, the step is stopped; -1: none
    int longest;             // microseconds that a leaf may take
    uint64_t seed;
    atomic_int nodes, given, checked;
} job;

static void seen(void *self, int level, int64_t index, const mm_partial *sum) {
    job *j = self;
    float expected[FLOATS];
    double loss;
    definition(j->leaves, level, index, expected, &loss);
    assert_memory_equal(sum->gradient, expected, sizeof expected);
    atomic_fetch_add(&j->nodes, 1);
}

// Some leaves take as long as all others together.
static void dawdle(const job *j, int64_t leaf) {
    if (!j->longest) return;
    uint64_t x = (j->seed + (uint64_t)leaf) * 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    unsigned microseconds = (unsigned)(x >> 40) % (unsigned)j->longest;
    if ((x >> 33) % 5 == 0) microseconds *= 10;
    usleep(microseconds);
}

static void give(job *j, int64_t leaf, float *gradient) {
    for (int i = 0; i < FLOATS; i++) gradient[i] = 0.0f + number(leaf, i);
    mm_partial p = {.gradient = gradient, .targets = leaf + 1, .loss = (double)number(leaf, 1000)};
    mm_tree_watch watch = {j, seen};
    atomic_fetch_add(&j->given, 1);
    mm_tree_give(j->tree, leaf, p, &watch);
}

static void work(void *self, int worker) {
    (void)worker;
    job *j = self;
    float *gradient;
    for (int64_t leaf; (leaf = mm_tree_take(j->tree, j->leaves, &gradient)) >= 0;) {
        if (leaf == j->stop_at) {
            mm_tree_stop(j->tree);
            return;
        }
        dawdle(j, leaf);
        give(j, leaf, gradient);
    }
}

static mm_partial root_of(mm_tree *tree) {
    float *other;
    mm_partial root = mm_tree_root(tree, &other);
    if (!other) return root;
    mm_tree_add(root.gradient, other, FLOATS);
    mm_tree_return(tree, other);
    return root;
}

static void one(int64_t leaves, int workers, int longest) {
    mm_error error;
    job j = {.leaves = leaves, .stop_at = -1, .longest = longest};
    assert_int_equal(mm_tree_open(&j.tree, leaves, workers, FLOATS, &error), MM_OK);
    float expected[FLOATS];
    double loss;
    definition(leaves, mm_tree_levels(leaves), 0, expected, &loss);
    int64_t nodes = 0; // but the root
    for (int level = 0; level < mm_tree_levels(leaves); level++) nodes += mm_tree_width(leaves, level);
    for (int step = 0; step < 3; step++) { // buffers and nodes are used again
        j.nodes = 0;
        j.seed = (uint64_t)(leaves * 1000 + workers * 10 + step);
        mm_tree_begin(j.tree);
        mm_par_run(workers, work, &j);
        mm_partial root = root_of(j.tree);
        assert_memory_equal(root.gradient, expected, sizeof expected);
        assert_memory_equal(&root.loss, &loss, sizeof loss);
        assert_int_equal(root.targets, leaves * (leaves + 1) / 2);
        assert_int_equal(j.nodes, nodes);
        mm_tree_return(j.tree, root.gradient);
    }
    mm_tree_close(j.tree);
}

static void arrays_that_lie_side_by_side_give_it_too(void **state) {
    (void)state;
    enum { MOST = 33 };
    static float arrays[MOST][FLOATS];
    for (int64_t leaves = 1; leaves <= MOST; leaves++) {
        float expected[FLOATS];
        double loss;
        definition(leaves, mm_tree_levels(leaves), 0, expected, &loss);
        for (int64_t leaf = 0; leaf < leaves; leaf++)
            for (int i = 0; i < FLOATS; i++) arrays[leaf][i] = 0.0f + number(leaf, i);
        mm_tree_fold(arrays[0], leaves, FLOATS);
        assert_memory_equal(arrays[0], expected, sizeof expected);
    }
}

static void any_workers_give_the_definition(void **state) {
    (void)state;
    for (int64_t leaves = 1; leaves <= 33; leaves++)
        for (int workers = 1; workers <= 9; workers += 2) one(leaves, workers, 0);
    one(257, 3, 0);
}

// Leaves of any length: workers wait for buffers, and the step ends with the same bits.
static void waiting_for_buffers_ends(void **state) {
    (void)state;
    for (int workers = 1; workers <= 9; workers++) {
        one(64, workers, 60);
        one(100, workers, 60);
        one(31, workers, 60);
    }
}

static double own_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// Of three workers the first two keep leaves 0 and 3. The third can give leaves 4 to 10: then leaves 1 and 2
// and nodes 4-7, 8-9 and 10 wait, which with the two leaves are all seven buffers.
static void two_keep_leaves(void *self, const mm_team *team, int worker) {
    job *j = self;
    if (team->workers < 3) return; // the system gives no such threads: nothing to see
    float *gradient = NULL;
    if (worker == 0) assert_int_equal(mm_tree_take(j->tree, j->leaves, &gradient), 0);
    mm_team_wait(team);
    for (int64_t leaf = 1; worker == 1 && leaf <= 3; leaf++) {
        assert_int_equal(mm_tree_take(j->tree, j->leaves, &gradient), leaf);
        if (leaf < 3) give(j, leaf, gradient);
    }
    mm_team_wait(team);
    double began = own_seconds();
    if (worker < 2) {
        while (atomic_load(&j->given) < 9) usleep(1000);
        if (worker == 0) {
            usleep(200000);
            assert_int_equal(j->given, 9);
            atomic_store(&j->checked, 1);
        }
        while (!atomic_load(&j->checked)) usleep(1000);
        give(j, worker == 0 ? 0 : 3, gradient);
    } else {
        for (int64_t leaf = 4; leaf < 11; leaf++) {
            assert_int_equal(mm_tree_take(j->tree, j->leaves, &gradient), leaf);
            give(j, leaf, gradient);
        }
        began = own_seconds();
        int64_t leaf = mm_tree_take(j->tree, j->leaves, &gradient); // waits until the two have given theirs
        assert_true(own_seconds() - began < 0.1);                   // it slept
        assert_true(leaf >= 11 || leaf == -1);                      // the others may be quicker
        if (leaf >= 0) give(j, leaf, gradient);
    }
    work(j, worker);
}
static void a_worker_without_a_buffer_sleeps(void **state) {
    (void)state;
    mm_error error;
    enum { LEAVES = 64, WORKERS = 3 };
    job j = {.leaves = LEAVES, .stop_at = -1};
    assert_int_equal(mm_tree_buffers(LEAVES, WORKERS), 7);
    assert_int_equal(mm_tree_open(&j.tree, LEAVES, WORKERS, FLOATS, &error), MM_OK);
    mm_tree_begin(j.tree);
    mm_par_team(WORKERS, two_keep_leaves, &j);
    if (j.given) assert_int_equal(root_of(j.tree).targets, LEAVES * (LEAVES + 1) / 2);
    mm_tree_close(j.tree);
}

// A worker that fails ends the others' waiting too, and the tree can be used again.
static void a_stopped_step_ends(void **state) {
    (void)state;
    mm_error error;
    enum { LEAVES = 64, WORKERS = 4 };
    job j = {.leaves = LEAVES};
    assert_int_equal(mm_tree_open(&j.tree, LEAVES, WORKERS, FLOATS, &error), MM_OK);
    for (int64_t leaf = 0; leaf < LEAVES; leaf += 9) {
        j.stop_at = leaf;
        j.given = 0;
        mm_tree_begin(j.tree);
        mm_par_run(WORKERS, work, &j);
        assert_true(j.given < LEAVES);
    }
    j.stop_at = -1;
    mm_tree_begin(j.tree);
    mm_par_run(WORKERS, work, &j);
    assert_int_equal(root_of(j.tree).targets, LEAVES * (LEAVES + 1) / 2);
    mm_tree_close(j.tree);
}

enum { KEEPERS = 6 };

// The first worker holds every buffer. The others wait for one, all of them, and a stop wakes them all.
static void first_keeps_all(void *self, const mm_team *team, int worker) {
    job *j = self;
    float *gradient;
    for (int64_t leaf = 0; worker == 0 && leaf < mm_tree_buffers(j->leaves, KEEPERS); leaf++)
        assert_int_equal(mm_tree_take(j->tree, j->leaves, &gradient), leaf);
    mm_team_wait(team);
    if (worker > 0) {
        assert_int_equal(mm_tree_take(j->tree, j->leaves, &gradient), -1);
        return;
    }
    usleep(100000); // they wait by now; whoever comes later finds the step stopped
    mm_tree_stop(j->tree);
}

static void a_stop_wakes_all_who_wait(void **state) {
    (void)state;
    mm_error error;
    job j = {.leaves = 64};
    assert_int_equal(mm_tree_open(&j.tree, j.leaves, KEEPERS, FLOATS, &error), MM_OK);
    mm_tree_begin(j.tree);
    mm_par_team(KEEPERS, first_keeps_all, &j);
    mm_tree_close(j.tree);
}

// One more than the levels is the least that any order of time ends with; workers in turns need no more than
// about one each beside it.
static void buffers_grow_with_workers_not_leaves(void **state) {
    (void)state;
    assert_int_equal(mm_tree_buffers(1, 8), 1);
    assert_int_equal(mm_tree_buffers(8, 2), 4);
    assert_int_equal(mm_tree_buffers(1024, 2), 11);
    assert_int_equal(mm_tree_buffers(256, 8), 13);
    assert_int_equal(mm_tree_buffers(12, 1), 4);
    for (int64_t leaves = 1; leaves <= 300; leaves++)
        for (int workers = 1; workers <= 9 && workers <= leaves; workers++) {
            int64_t levels = mm_tree_levels(leaves), buffers = mm_tree_buffers(leaves, workers);
            int64_t least = levels + ((int64_t)1 << levels == leaves);
            assert_true(buffers <= leaves && buffers <= workers + levels);
            assert_true(buffers >= (least < leaves ? least : leaves));
        }
}

static void shape_of_the_tree(void **state) {
    (void)state;
    assert_int_equal(mm_tree_levels(1), 0);
    assert_int_equal(mm_tree_levels(12), 4);
    assert_int_equal(mm_tree_width(12, 1), 6);
    assert_int_equal(mm_tree_width(12, 2), 3);
    assert_int_equal(mm_tree_width(12, 3), 2);
    assert_int_equal(mm_tree_width(12, 4), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_workers_give_the_definition),
        cmocka_unit_test(arrays_that_lie_side_by_side_give_it_too),
        cmocka_unit_test(waiting_for_buffers_ends),
        cmocka_unit_test(a_worker_without_a_buffer_sleeps),
        cmocka_unit_test(a_stopped_step_ends),
        cmocka_unit_test(a_stop_wakes_all_who_wait),
        cmocka_unit_test(buffers_grow_with_workers_not_leaves),
        cmocka_unit_test(shape_of_the_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
