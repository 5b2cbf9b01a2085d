// Two runs side by side, as mm diff and mm verify read them: each run's files against one another, and the
// records of both. An input is a mode, which is also the step of a checkpoint that both have, and run.json,
// metrics.jsonl and the lines of trace.jsonl.gz of either run, then the checkpoint: state.json, config.json,
// tokenizer.json, and header and data of its two files of tensors. What the second run does not have is as in
// the first.
#include "fuzz.h"

#include <errno.h>
#include <mm/base/text.h>
#include <mm/files/publish.h>
#include <mm/record/diff.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEPS = 3, LINKED = 4, LEAVES = 8, WHOLE = 16 };
enum { RUN, METRICS, TRACE, OF_RUN, STATE = 2 * OF_RUN, CONFIG, TOKENIZER, MODEL, OPTIMIZER = MODEL + 2 };
enum { PIECES = OPTIMIZER + 2, NAME = 128 };
// Files are hashed in pieces of 1 MiB. A trace's reader holds a step, whose records are larger than their
// lines, and deflate makes at most 1032 bytes of one.
enum { MEMORY = 8 << 20, MEMORY_FACTOR = 4096 };

static const char *join(char out[NAME], const char *folder, const char *name) {
    fuzz_assert(snprintf(out, NAME, "%s/%s", folder, name) < NAME);
    return out;
}

static void make_folder(const char *name) {
    char path[FUZZ_PATH];
    fuzz_assert(mkdir(fuzz_path(path, name), 0777) == 0 || errno == EEXIST);
}

static void put_run_json(const char *run, const fuzz_piece *pieces, fuzz_piece file) {
    char name[NAME], *text = fuzz_copy(file);
    mm_hash tokenizer =
        mm_hash_bytes(pieces[TOKENIZER].data ? pieces[TOKENIZER].data : "", pieces[TOKENIZER].size);
    fuzz_set_hash(text, file.size, "tokenizer_xxh128", 0, tokenizer);
    fuzz_seal(text, file.size);
    fuzz_put(join(name, run, "run.json"), (fuzz_piece){text, file.size});
    free(text);
}

static void put_checkpoint(const char *folder, const fuzz_piece *pieces) {
    static const fuzz_piece empty = {"{}", 2};
    static const char *const names[] = {"model.safetensors", "optimizer.safetensors"},
                             *const keys[] = {"model_xxh128", "optimizer_xxh128"};
    char name[NAME], *state = fuzz_copy(pieces[STATE]);
    size_t size = pieces[STATE].size;
    for (int i = 0; i < 2; i++) {
        const fuzz_piece *file = pieces + MODEL + 2 * i;
        fuzz_set_hash(state, size, keys[i], 0,
                      fuzz_put_safetensors(join(name, folder, names[i]), file[0], file[1]));
    }
    fuzz_set_hash(state, size, "tokenizer_config_xxh128", 0, mm_hash_bytes(empty.data, empty.size));
    for (int i = CONFIG; i <= TOKENIZER; i++)
        fuzz_set_hash(state, size, i == CONFIG ? "config_xxh128" : "tokenizer_xxh128", 0,
                      mm_hash_bytes(pieces[i].data ? pieces[i].data : "", pieces[i].size));
    fuzz_seal(state, size);
    fuzz_put(join(name, folder, "state.json"), (fuzz_piece){state, size});
    fuzz_put(join(name, folder, "config.json"), pieces[CONFIG]);
    fuzz_put(join(name, folder, "tokenizer.json"), pieces[TOKENIZER]);
    fuzz_put(join(name, folder, "tokenizer_config.json"), empty);
    free(state);
}

static void put_checkpoints(const char *run, const fuzz_piece *pieces, unsigned mode) {
    char name[NAME], path[FUZZ_PATH], target[NAME];
    fuzz_assert(mm_remove_folder(fuzz_path(path, join(name, run, "checkpoints")), NULL) == MM_OK);
    fuzz_assert(unlink(fuzz_path(path, join(name, run, "model"))) == 0 || errno == ENOENT);
    if (!pieces[STATE].size) return;
    make_folder(join(name, run, "checkpoints"));
    snprintf(target, sizeof target, "checkpoints/step-%06u", 1 + mode % (STEPS + 1));
    make_folder(join(name, run, target));
    put_checkpoint(name, pieces);
    if (mode & LINKED) fuzz_assert(symlink(target, path) == 0);
}

static void put_run(const char *run, const fuzz_piece *pieces, const fuzz_piece *own, unsigned mode) {
    char name[NAME];
    make_folder(run);
    put_run_json(run, pieces, own[RUN].size ? own[RUN] : pieces[RUN]);
    fuzz_put(join(name, run, "metrics.jsonl"), own[METRICS].size ? own[METRICS] : pieces[METRICS]);
    fuzz_put_gzip(join(name, run, "trace.jsonl.gz"), own[TRACE].size ? own[TRACE] : pieces[TRACE]);
    put_checkpoints(run, pieces, mode);
}

// A run that contradicts itself is told of in one line that names its file, as other trouble is.
static mm_status said(mm_status status, mm_error *error, const char *run) {
    if (status) fuzz_said(MM_TROUBLE, error, run);
    return status;
}

static void check_place(const mm_trace_record *record) {
    mm_text words = {0};
    mm_place place = mm_place_of(record);
    mm_place_words(&place, &words);
    fuzz_assert(!words.failed && words.size > 0 && !memchr(words.data, '\n', words.size));
    mm_text_free(&words);
}

// The places that both have are the same from either side, and each has none that differs from itself.
static void compare(const mm_trace_step *a, const mm_trace_step *b, unsigned mode) {
    mm_error error;
    mm_trace_pairs pairs, back, self;
    bool leaves = mode & LEAVES, whole = mode & WHOLE;
    fuzz_assert(mm_trace_step_compare(a, b, NULL, leaves, whole, &pairs, &error) == MM_OK);
    fuzz_assert(mm_trace_step_compare(b, a, NULL, leaves, whole, &back, &error) == MM_OK);
    fuzz_assert(mm_trace_step_compare(a, a, NULL, leaves, whole, &self, &error) == MM_OK);
    fuzz_assert(self.count == 0 && pairs.compared == back.compared && pairs.compared <= self.compared);
    for (size_t i = 0; i < pairs.count; i++) check_place(pairs.pairs[i].a);
    mm_trace_pairs_free(&pairs);
    mm_trace_pairs_free(&back);
    mm_trace_pairs_free(&self);
}

// The steps of both, until one of them is damaged.
static mm_status walk(mm_side *a, mm_side *b, unsigned mode) {
    mm_error error;
    for (bool more_a = true, more_b = true;;) {
        mm_status status = more_a ? said(mm_side_next(a, &more_a, &error), &error, a->path) : MM_OK;
        if (!status && more_b) status = said(mm_side_next(b, &more_b, &error), &error, b->path);
        if (status || (!more_a && !more_b)) return status;
        if (more_a) status = said(mm_side_check(a, &error), &error, a->path);
        if (!status && more_b) status = said(mm_side_check(b, &error), &error, b->path);
        if (status) return status;
        if (more_a && more_b && mm_side_traced(a) && mm_side_traced(b)) compare(&a->step, &b->step, mode);
    }
}

static void compare_runs(const char *path_a, const char *path_b, mm_side *a, mm_side *b, unsigned mode) {
    mm_error error;
    mm_facts_diff facts;
    mm_tensor_distance distance;
    bool known, unsaved;
    int64_t step = 1 + mode % (STEPS + 1);
    fuzz_assert(mm_facts_compare(&a->facts, &b->facts, &facts, &error) == MM_OK);
    fuzz_assert(mm_facts_compare_step(&a->facts, &b->facts, step, mode & WHOLE, &facts, &error) == MM_OK);
    mm_facts_diff_free(&facts);
    if (walk(a, b, mode)) return;
    (void)said(mm_side_end(a, &unsaved, &error), &error, path_a);
    (void)said(mm_side_end(b, &unsaved, &error), &error, path_b);
    if (mm_side_has_checkpoint(a, step))
        (void)said(mm_checkpoint_distance(path_a, path_b, step, &known, &distance, &error), &error, path_a);
}

static void use(unsigned mode) {
    char path_a[FUZZ_PATH], path_b[FUZZ_PATH];
    mm_side a, b;
    mm_error error;
    if (said(mm_side_open(fuzz_path(path_a, "a"), &a, &error), &error, path_a)) return;
    if (!said(mm_side_open(fuzz_path(path_b, "b"), &b, &error), &error, path_b)) {
        compare_runs(path_a, path_b, &a, &b, mode);
        mm_side_close(&b);
    }
    mm_side_close(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_piece pieces[PIECES];
    if (size < 1) return 0;
    fuzz_split(data + 1, size - 1, pieces, PIECES);
    put_run("a", pieces, pieces, data[0]);
    put_run("b", pieces, pieces + OF_RUN, data[0]);
    fuzz_memory_begin();
    use(data[0]);
    fuzz_memory_end(MEMORY, MEMORY_FACTOR);
    return 0;
}
