#include "weights.h"
#include <mm/base/text.h>
#include <mm/record/checkpoint.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 16 }; // numbers compared at a time

mm_tensor *mm_weights_list(const mm_parameters *p, float *array) {
    mm_tensor *tensors = calloc((size_t)p->count, sizeof *tensors);
    for (int i = 0; tensors && i < p->count; i++) tensors[i] = mm_parameter_in(p, i, array);
    return tensors;
}

// Are the numbers of two tensors the same? Both have `count`.
static mm_status compare(mm_tensor_place a, mm_tensor_place b, uint64_t count, bool *same, mm_error *error) {
    float *room = malloc(2 * PIECE * sizeof *room);
    if (!room) return mm_trouble(error, "%s: out of memory", mm_safetensors_path(a.file));
    mm_status status = MM_OK;
    *same = true;
    for (uint64_t at = 0; !status && *same && at < count; at += PIECE) {
        size_t part = count - at < PIECE ? (size_t)(count - at) : (size_t)PIECE;
        status = mm_safetensors_read_part(a.file, a.entry, at, part, room, error);
        if (!status) status = mm_safetensors_read_part(b.file, b.entry, at, part, room + PIECE, error);
        *same = !status && memcmp(room, room + PIECE, part * sizeof *room) == 0;
    }
    free(room);
    return status;
}

// lm_head.weight beside tied embeddings is the embedding once more.
static mm_status check_tied_head(const mm_parameters *p, const mm_tensor_files *files, mm_error *error) {
    mm_tensor wanted = p->tensors[p->embedding];
    mm_tensor_place embedding, head;
    bool same = false;
    mm_status status = mm_tensor_files_need(files, &wanted, &embedding, error);
    wanted.name = "lm_head.weight";
    if (!status) status = mm_tensor_files_need(files, &wanted, &head, error);
    if (!status) status = compare(embedding, head, (uint64_t)mm_tensor_count(&wanted), &same, error);
    if (status || same) return status;
    return mm_trouble(error,
                      "%s: lm_head.weight is not model.embed_tokens.weight, but config.json has "
                      "tie_word_embeddings true; set it to false if the output has weights of its own",
                      mm_safetensors_path(head.file));
}

static mm_status check_other(const mm_parameters *p, const mm_tensor_files *files, mm_tensor_place place,
                             mm_error *error) {
    const char *name = place.entry->tensor.name;
    if (p->head == p->embedding && strcmp(name, "lm_head.weight") == 0)
        return check_tied_head(p, files, error);
    return mm_trouble(error,
                      "%s: holds the tensor %.200s, which the model of config.json does not have; bring "
                      "the config.json that belongs to these weights",
                      mm_safetensors_path(place.file), name);
}

static mm_status check_own(const mm_parameters *p, int i, const mm_tensor_files *files, mm_error *error) {
    const mm_tensor *wanted = &p->tensors[i];
    mm_tensor_place place = mm_tensor_files_find(files, wanted->name);
    if (!place.entry && i == p->head)
        return mm_trouble(
            error,
            "%s: has no tensor %s, and config.json does not say that the embedding serves for it; "
            "if it does, set tie_word_embeddings to true there",
            mm_tensor_files_path(files), wanted->name);
    return mm_tensor_files_need(files, wanted, &place, error);
}

// transformers writes a model without its head (Qwen3Model) under names without "model.", and opens them.
static void find_prefix(const mm_parameters *p, mm_tensor_files *files) {
    const char *embedding = p->tensors[p->embedding].name;
    if (mm_tensor_files_find(files, embedding).entry) return;
    mm_tensor_files_drop(files, "model.");
    if (!mm_tensor_files_find(files, embedding).entry) mm_tensor_files_drop(files, NULL);
}

static bool is_own(const mm_parameters *p, const mm_tensor_files *files, const char *name) {
    for (int i = 0; i < p->count; i++)
        if (strcmp(mm_tensor_files_held_name(files, p->tensors[i].name), name) == 0) return true;
    return false;
}

mm_status mm_weights_open(const mm_parameters *p, const char *folder, mm_tensor_files **files,
                          mm_error *error) {
    mm_status status = mm_tensor_files_open(folder, files, error);
    if (status) return status;
    find_prefix(p, *files);
    mm_tensor_place place;
    for (int i = 0; !status && i < p->count; i++) status = check_own(p, i, *files, error);
    for (int i = 0; !status && i < mm_tensor_files_count(*files); i++) {
        place = mm_tensor_files_at(*files, i);
        const char *name = place.entry->tensor.name;
        // Old models hold it for each layer; it follows from rope_theta.
        if (mm_ends_with(name, ".rotary_emb.inv_freq") || is_own(p, *files, name)) continue;
        status = check_other(p, *files, place, error);
    }
    if (!status) return MM_OK;
    mm_tensor_files_close(*files);
    *files = NULL;
    return status;
}

static mm_status read_all(const mm_parameters *p, const mm_tensor_files *files, float *array,
                          mm_error *error) {
    mm_status status = MM_OK;
    for (int i = 0; !status && i < p->count; i++) {
        mm_tensor tensor = mm_parameter_in(p, i, array);
        status = mm_tensor_files_read(files, &tensor, error);
    }
    return status;
}

mm_status mm_weights_read(const mm_parameters *p, float *array, const char *folder, mm_error *error) {
    mm_tensor_files *files;
    mm_status status = mm_weights_open(p, folder, &files, error);
    if (status) return status;
    status = read_all(p, files, array, error);
    mm_tensor_files_close(files);
    return status;
}

mm_status mm_weights_find(const mm_config *config, const char *folder, mm_tensor_files **files,
                          mm_error *error) {
    mm_parameters parameters;
    mm_status status = mm_parameters_make(&parameters, config, error);
    if (status) return status;
    status = mm_weights_open(&parameters, folder, files, error);
    mm_parameters_free(&parameters);
    return status;
}

mm_status mm_weights_load(mm_model *model, const mm_config *config, const mm_kernels *kernels,
                          const mm_gemm *gemm, int64_t positions, const char *folder, mm_arena *arena,
                          mm_error *error) {
    mm_tensor_files *files = NULL;
    mm_status status = mm_weights_find(config, folder, &files, error);
    if (!status) status = mm_checkpoint_check_weights(folder, error);
    if (!status) status = mm_model_open(model, config, kernels, gemm, positions, NULL, error);
    size_t floats = status ? 0 : model->parameters.floats;
    if (!status) status = mm_arena_open(arena, floats * sizeof(float), error);
    if (!status) {
        model->weights = mm_arena_take(arena, floats, sizeof(float));
        status = read_all(&model->parameters, files, model->weights, error);
    }
    mm_tensor_files_close(files);
    return status;
}
