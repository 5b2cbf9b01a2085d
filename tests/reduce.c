// The tree's sum is fixed by the leaves alone: any number of workers in any order of time gives the bits of
// the plain recursive definition, and never needs more buffers than it says.
#include <mm/base/par.h>
#include <mm/rank/reduce.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    int64_t leaves;
    atomic_int nodes;
} job;

static void seen(void *self, int level, int64_t index, const mm_partial *sum) {
    job *j = self;
    float expected[FLOATS];
    double loss;
    definition(j->leaves, level, index, expected, &loss);
    assert_memory_equal(sum->gradient, expected, sizeof expected);
    atomic_fetch_add(&j->nodes, 1);
}

static void work(void *self, int worker) {
    job *j = self;
    for (int64_t leaf; (leaf = mm_tree_take(j->tree)) >= 0;) {
        mm_partial p = {.gradient = mm_tree_buffer(j->tree), .targets = leaf + 1};
        for (volatile int spin = 0; spin < (worker + 1) * (int)(leaf % 7) * 50; spin++) {}
        for (int i = 0; i < FLOATS; i++) p.gradient[i] += number(leaf, i);
        p.loss = (double)number(leaf, 1000);
        mm_tree_watch watch = {j, seen};
        mm_tree_give(j->tree, leaf, p, &watch);
    }
}

static void one(int64_t leaves, int workers) {
    mm_error error;
    job j = {.leaves = leaves};
    assert_int_equal(mm_tree_open(&j.tree, leaves, workers, FLOATS, &error), MM_OK);
    float expected[FLOATS];
    double loss;
    definition(leaves, mm_tree_levels(leaves), 0, expected, &loss);
    int64_t nodes = 0;
    for (int level = 0; level <= mm_tree_levels(leaves); level++) nodes += mm_tree_width(leaves, level);
    for (int step = 0; step < 3; step++) { // buffers and nodes are used again
        j.nodes = 0;
        mm_tree_begin(j.tree);
        mm_par_run(workers, work, &j);
        mm_partial root = mm_tree_root(j.tree);
        assert_memory_equal(root.gradient, expected, sizeof expected);
        assert_memory_equal(&root.loss, &loss, sizeof loss);
        assert_int_equal(root.targets, leaves * (leaves + 1) / 2);
        assert_int_equal(j.nodes, nodes);
        mm_tree_return(j.tree, root.gradient);
    }
    mm_tree_close(j.tree);
}

static void any_workers_give_the_definition(void **state) {
    (void)state;
    for (int64_t leaves = 1; leaves <= 33; leaves++)
        for (int workers = 1; workers <= 9; workers += 2) one(leaves, workers);
    one(257, 3);
}

static void buffers_grow_with_workers_not_leaves(void **state) {
    (void)state;
    assert_int_equal(mm_tree_buffers(1, 8), 1);
    assert_int_equal(mm_tree_buffers(8, 2), 8);
    assert_int_equal(mm_tree_buffers(1024, 2), 2 * 11);
    assert_int_equal(mm_tree_buffers(12, 1), 5);
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
        cmocka_unit_test(buffers_grow_with_workers_not_leaves),
        cmocka_unit_test(shape_of_the_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
