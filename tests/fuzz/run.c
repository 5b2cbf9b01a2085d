// run.json, and state.json of a checkpoint: read as the same twice. An input is a mode, the file, and of a
// checkpoint the two files of tensors, whose hashes state.json names.
#include "fuzz.h"

#include <mm/model/config.h>
#include <mm/record/checkpoint.h>
#include <mm/record/diff.h>
#include <mm/record/run.h>
#include <stdlib.h>
#include <string.h>

// Files are hashed in pieces of 1 MiB.
enum { RAW = 1, STATE = 2, MEMORY = 3 << 19, MEMORY_FACTOR = 250 };

// Hashes and seal are made right unless the mode says otherwise.
static void put_sealed(const char *name, fuzz_piece piece, unsigned mode, const fuzz_piece *tensors) {
    static const char *const keys[] = {"model_xxh128", "optimizer_xxh128"};
    if (mode & RAW || !piece.data) {
        fuzz_put(name, piece);
        return;
    }
    char *text = fuzz_copy(piece);
    for (int i = 0; i < 2 && tensors; i++)
        fuzz_set_hash(text, piece.size, keys[i], 0,
                      mm_hash_bytes(tensors[i].data ? tensors[i].data : "", tensors[i].size));
    fuzz_seal(text, piece.size);
    fuzz_put(name, (fuzz_piece){text, piece.size});
    free(text);
}

static void check_facts(const mm_run_facts *facts) {
    const mm_settings *s = &facts->settings;
    fuzz_assert(s->data && !s->preset != !s->model && s->batch % (s->micro_batch * s->ranks) == 0);
    for (int i = 0; i < facts->argc; i++) fuzz_assert(facts->argv[i]);
    for (int i = 0; i < facts->initial_count; i++) {
        const mm_run_tensor *tensor = &facts->initial[i];
        fuzz_assert(tensor->name && tensor->dims >= 0 && tensor->dims <= MM_MAX_DIMS);
        for (int d = 0; d < tensor->dims; d++) fuzz_assert(tensor->shape[d] >= 1);
    }
    for (int i = 1; i < facts->continued_count; i++)
        fuzz_assert(facts->continued[i].after > facts->continued[i - 1].after);
    for (int i = 0; i < facts->stream_count; i++) fuzz_assert(facts->streams[i].rank >= -1);
    fuzz_assert(facts->parameters >= 1 && facts->program.cores >= 1 && facts->data.path &&
                facts->model_config);
    // What takes up the run reads its model's configuration.
    mm_config config;
    mm_error error;
    mm_status status =
        mm_config_parse(facts->model_config, strlen(facts->model_config), "the model", &config, &error);
    if (status) fuzz_said(status, &error, "the model");
}

static void read_run(const char *folder) {
    mm_run_facts facts, again;
    mm_facts_diff diff;
    mm_error error;
    mm_status status = mm_run_read(folder, &facts, &error);
    if (status) {
        fuzz_said(status, &error, "run.json");
        return;
    }
    check_facts(&facts);
    fuzz_assert(mm_run_read(folder, &again, &error) == MM_OK);
    fuzz_assert(mm_facts_compare(&facts, &again, &diff, &error) == MM_OK);
    fuzz_assert(diff.count == 0 && !diff.initial);
    mm_facts_diff_free(&diff);
    mm_run_facts_free(&facts);
    mm_run_facts_free(&again);
}

static void read_state(const char *folder) {
    mm_checkpoint_state state;
    mm_error error;
    mm_status status = mm_checkpoint_state_read(folder, &state, &error);
    if (status) {
        fuzz_said(status, &error, folder);
        return;
    }
    fuzz_assert(state.step >= 0 && state.tokens >= 0);
    fuzz_assert(state.streams_version >= 1 && state.arithmetic_version >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_piece pieces[3];
    char folder[FUZZ_PATH];
    if (size < 1) return 0;
    unsigned mode = data[0];
    fuzz_path(folder, ".");
    if (mode & STATE) {
        fuzz_split(data + 1, size - 1, pieces, 3);
        fuzz_put("model.safetensors", pieces[1]);
        fuzz_put("optimizer.safetensors", pieces[2]);
        put_sealed("state.json", pieces[0], mode, pieces + 1);
    } else {
        put_sealed("run.json", (fuzz_piece){(const char *)data + 1, size - 1}, mode, NULL);
    }
    fuzz_memory_begin();
    if (mode & STATE)
        read_state(folder);
    else
        read_run(folder);
    fuzz_memory_end(MEMORY, MEMORY_FACTOR);
    return 0;
}
