// A number that is not finite stops the run; here its place is found. Nothing of this runs while all is well.
#include "nonfinite.h"
#include "trainer.h"
#include <assert.h>
#include <math.h>
#include <mm/base/mathfn.h>
#include <mm/base/text.h>
#include <stdlib.h>
#include <string.h>

// The first such number of a tensor of rows `ld` apart.
typedef struct spot {
    int64_t row, column;
    int dims;
    float value;
} spot;

static bool find_spot(const float *x, int dims, int64_t rows, int64_t columns, int64_t ld, spot *out) {
    for (int64_t row = 0; row < rows; row++) {
        int64_t column = 0;
        while (column < columns && isfinite(x[row * ld + column])) column++;
        if (column == columns) continue;
        *out = (spot){row, column, dims, x[row * ld + column]};
        return true;
    }
    return false;
}

static bool find_in_tensor(const mm_tensor *tensor, spot *out) {
    int64_t columns = tensor->shape[tensor->dims - 1];
    return find_spot(tensor->data, tensor->dims, mm_tensor_count(tensor) / columns, columns, columns, out);
}

// "TENSOR[1, 2] is nan".
static void say_spot(mm_text *out, const char *tensor, const spot *at) {
    mm_text_format(out, "%s[", tensor);
    if (at->dims == 2) mm_text_format(out, "%lld, ", (long long)at->row);
    mm_text_format(out, "%lld] is %g", (long long)at->column, mm_told(at->value));
}

// A tensor's name holds its layer; said as everywhere else.
static void say_layer_of(mm_text *out, const char *tensor) {
    const char *found = strstr(tensor, "layers.");
    if (found) mm_text_format(out, ", layer %d", atoi(found + strlen("layers.")));
}

// What is left to go on from.
static void say_way_out(mm_text *out, const mm_trainer *t) {
    int64_t *steps;
    int count;
    const char *run = t->run ? mm_run_path(t->run) : t->settings.out; // a replay has no run of its own
    if (mm_checkpoint_list(run, &steps, &count, NULL)) return;
    if (count)
        mm_text_format(
            out,
            "; the checkpoint of step %lld is whole: start from it with --model %s/model and a smaller --lr",
            (long long)steps[count - 1], run);
    else
        mm_text_add_string(out, "; start again with a smaller --lr");
    free(steps);
}

static mm_status stop(const mm_trainer *t, mm_text *said, bool way_out, mm_error *error) {
    if (way_out) say_way_out(said, t);
    mm_status status =
        said->failed
            ? mm_fail(error, MM_NONFINITE, "step %lld: a number is not finite", (long long)t->step + 1)
            : mm_fail(error, MM_NONFINITE, "step %lld%s", (long long)t->step + 1, said->data);
    mm_text_free(said);
    return status;
}

// --- before the leaves and after them

// The first tensor of the table in which `array` holds one.
static bool find_in_table(const mm_trainer *t, float *array, int *tensor, spot *at) {
    const mm_parameters *p = &t->model.parameters;
    for (*tensor = 0; *tensor < p->count; ++*tensor) {
        mm_tensor in = mm_parameter_in(p, *tensor, array);
        if (find_in_tensor(&in, at)) return true;
    }
    return false;
}

static const char *name_of(const mm_trainer *t, int tensor) {
    return t->model.parameters.tensors[tensor].name;
}

static mm_status stop_at_weight(const mm_trainer *t, int tensor, const spot *at, mm_error *error) {
    mm_text said = {0};
    say_layer_of(&said, name_of(t, tensor));
    mm_text_add_string(&said, ", before it: parameter ");
    say_spot(&said, name_of(t, tensor), at);
    bool given = t->step == 0 && t->settings.model;
    if (given)
        mm_text_format(
            &said,
            " in --model %s, expected finite numbers; bring a whole model, saved before they were lost",
            t->settings.model);
    return stop(t, &said, !given, error);
}

// --- within a leaf

// The probe's finding.
typedef struct finding {
    bool found;
    mm_pass pass;
    int layer;
    const char *operation, *tensor;
    spot at;
} finding;

static void see(void *self, const mm_sight *sight) {
    finding *f = self;
    const mm_tensor *tensor = &sight->tensor;
    if (f->found || !find_spot(tensor->data, 2, tensor->shape[0], tensor->shape[1], sight->ld, &f->at))
        return;
    f->found = true;
    f->pass = sight->pass;
    f->layer = sight->layer;
    f->operation = sight->operation;
    f->tensor = tensor->name;
}

static mm_status stop_in_leaf(const mm_trainer *t, int64_t leaf, const finding *f, double loss,
                              mm_error *error) {
    mm_text said = {0};
    mm_text_format(&said, ", rank %lld, leaf %lld", (long long)(leaf / t->leaves_in_rank), (long long)leaf);
    if (f->found) {
        if (f->layer >= 0) mm_text_format(&said, ", layer %d", f->layer);
        mm_text_format(&said, ", %s pass of %s: ", f->pass == MM_PASS_FORWARD ? "forward" : "backward",
                       f->operation);
        say_spot(&said, f->tensor, &f->at);
    } else {
        mm_text_format(&said, ", cross_entropy: the loss is %g", mm_told(loss));
    }
    return stop(t, &said, true, error);
}

// Runs the step's leaves again, in order, until one has such a number.
static mm_status search_leaves(mm_trainer *t, float *gradient, mm_error *error) {
    for (int64_t leaf = 0; leaf < t->leaves; leaf++) {
        finding f = {0};
        mm_probe probe = {.level = MM_LEVEL_OP, .self = &f, .see = see};
        double loss;
        mm_status status = mm_step_run_leaf(t, &t->workers[0], leaf, gradient, &probe, &loss, error);
        if (status) return status;
        if (f.found || !isfinite(loss)) return stop_in_leaf(t, leaf, &f, loss, error);
    }
    return MM_OK;
}

mm_status mm_nonfinite_gradients(mm_trainer *t, const mm_partial *sum, mm_error *error) {
    int tensor;
    spot at;
    if (find_in_table(t, t->weights, &tensor, &at)) return stop_at_weight(t, tensor, &at, error);
    bool merged = find_in_table(t, sum->gradient, &tensor, &at);
    mm_status status = search_leaves(t, sum->gradient, error);
    if (status) return status;
    mm_text said = {0};
    if (merged) {
        say_layer_of(&said, name_of(t, tensor));
        mm_text_add_string(&said, ", the leaves' gradients merged: ");
        say_spot(&said, name_of(t, tensor), &at);
        mm_text_add_string(&said, ", though each leaf's is finite when it runs again");
    } else {
        mm_text_format(&said,
                       ": the loss of all leaves is %g, though each leaf's is finite when it runs again",
                       mm_told(sum->loss));
    }
    return stop(t, &said, true, error);
}

// --- the update

mm_status mm_nonfinite_update(mm_trainer *t, mm_error *error) {
    bool spoiled = false;
    for (int64_t w = 0; w < t->settings.workers; w++) spoiled |= t->workers[w].spoiled;
    if (!spoiled) return MM_OK;
    float *const arrays[] = {t->weights, t->m, t->v};
    for (int i = 0; i < 3; i++) {
        int tensor;
        spot at;
        if (!find_in_table(t, arrays[i], &tensor, &at)) continue;
        mm_text said = {0};
        say_layer_of(&said, name_of(t, tensor));
        mm_text_format(&said, ", the update (adamw, lr %g): %s", t->lr, mm_moment_prefixes[i]);
        say_spot(&said, name_of(t, tensor), &at);
        return stop(t, &said, true, error);
    }
    assert(false && "a piece that is not finite belongs to a tensor");
    return MM_OK;
}

mm_status mm_nonfinite_validation(const mm_trainer *t, double loss, mm_error *error) {
    mm_text said = {0};
    mm_text_format(&said, "step %lld: the validation loss is %g, though parameters and gradients are finite",
                   (long long)t->step, mm_told(loss));
    say_way_out(&said, t);
    mm_status status =
        mm_fail(error, MM_NONFINITE, "%s", said.failed ? "the validation loss is not finite" : said.data);
    mm_text_free(&said);
    return status;
}
