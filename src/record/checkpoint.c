#include "checkpoint_keep.h"
#include "seal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mm/files/json.h>
#include <mm/files/publish.h>
#include <mm/files/safetensors.h>
#include <mm/files/tensor_files.h>
#include <mm/record/checkpoint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATE_LIMIT = 1 << 16, HASH_PIECE = 1 << 20 };
#define TOKENS_MOST (INT64_MAX / 2) // a step's can be added

// With its member of state.json.
static const struct {
    const char *name, *key;
} text_files[MM_CHECKPOINT_TEXTS] = {{"config.json", "config_xxh128"},
                                     {"tokenizer.json", "tokenizer_xxh128"},
                                     {"tokenizer_config.json", "tokenizer_config_xxh128"}};

const char *const mm_moment_prefixes[3] = {"", "exp_avg.", "exp_avg_sq."};

const char *mm_moment_of(const char *name, int *which) {
    for (*which = 2; *which > 0; --*which) {
        const size_t size = strlen(mm_moment_prefixes[*which]);
        if (strncmp(name, mm_moment_prefixes[*which], size) == 0) return name + size;
    }
    return name;
}

mm_status mm_checkpoint_path(const char *run_path, int64_t step, char *out, size_t size, mm_error *error) {
    char name[64];
    snprintf(name, sizeof name, MM_CHECKPOINT, (long long)step);
    return mm_path_join(out, size, run_path, name, error);
}

// --- writing

static mm_status hash_file(const char *path, mm_hash *hash, mm_error *error) {
    mm_hasher *hasher = mm_hasher_new();
    char *piece = malloc(HASH_PIECE);
    FILE *file = NULL;
    mm_status status = hasher && piece ? MM_OK : mm_trouble(error, "%s: out of memory", path);
    if (!status) status = mm_open_stream(path, &file, error);
    while (!status) {
        size_t got = fread(piece, 1, HASH_PIECE, file);
        if (!got) break;
        mm_hasher_add(hasher, piece, got);
    }
    if (!status && ferror(file)) status = mm_trouble_errno(error, path, "read it");
    if (!status) *hash = mm_hasher_end(hasher);
    if (file) fclose(file);
    free(piece);
    mm_hasher_free(hasher);
    return status;
}

static mm_status write_text(const char *folder, const char *name, const char *text, size_t size,
                            mm_error *error) {
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, folder, name, error);
    return status ? status : mm_publish_file(path, text, size, error);
}

static mm_status write_tensors(const char *folder, const char *name, const mm_tensor *tensors, int count,
                               mm_hash *hash, mm_error *error) {
    char path[PATH_MAX];
    mm_status status = mm_path_join(path, sizeof path, folder, name, error);
    if (!status) status = mm_safetensors_write(path, tensors, count, error);
    if (!status) status = hash_file(path, hash, error);
    return status;
}

static mm_status write_model(const char *folder, const mm_checkpoint *c, mm_checkpoint_state *state,
                             mm_error *error) {
    const char *beside = c->tokenizer_config;
    const struct {
        const char *data; // NULL: none
        size_t size;
    } texts[MM_CHECKPOINT_TEXTS] = {{c->config, strlen(c->config)},
                                    {c->tokenizer, c->tokenizer_size},
                                    {beside, beside ? strlen(beside) : 0}};
    mm_status status = MM_OK;
    for (int i = 0; !status && i < MM_CHECKPOINT_TEXTS; i++) {
        state->texts[i] = (mm_checkpoint_text){.there = texts[i].data != NULL};
        if (!texts[i].data) continue;
        state->texts[i].hash = mm_hash_bytes(texts[i].data, texts[i].size);
        status = write_text(folder, text_files[i].name, texts[i].data, texts[i].size, error);
    }
    return status ? status
                  : write_tensors(folder, "model.safetensors", c->tensors, c->count, &state->model, error);
}

static mm_status write_state(const char *folder, const mm_checkpoint_state *s, mm_error *error) {
    mm_text text = {0};
    mm_json_writer writer = mm_json_writer_on(&text, 2), *w = &writer;
    mm_json_open_object(w);
    mm_json_pair_string(w, "format", "mm-checkpoint");
    mm_json_pair_integer(w, "version", 1);
    mm_json_pair_integer(w, "step", s->step);
    mm_json_pair_integer(w, "position", (int64_t)s->position);
    mm_json_pair_integer(w, "tokens", s->tokens);
    mm_json_pair_integer(w, "arithmetic", s->arithmetic_version);
    mm_json_pair_integer(w, "streams", s->streams_version);
    mm_json_pair_hash(w, "model_xxh128", s->model);
    mm_json_pair_hash(w, "optimizer_xxh128", s->optimizer);
    for (int i = 0; i < MM_CHECKPOINT_TEXTS; i++)
        if (s->texts[i].there) mm_json_pair_hash(w, text_files[i].key, s->texts[i].hash);
    seal_close(w);
    mm_status status = text.failed ? mm_trouble(error, "%s/state.json: out of memory", folder)
                                   : write_text(folder, "state.json", text.data, text.size, error);
    mm_text_free(&text);
    return status;
}

// A draft of the whole; *state is what its state.json says.
static mm_status write_draft(const mm_checkpoint *c, const char *path, mm_draft **draft,
                             mm_checkpoint_state *state, mm_error *error) {
    mm_status status = mm_draft_begin(path, draft, error);
    if (status) return status;
    const char *folder = mm_draft_path(*draft);
    *state = c->state;
    status = write_model(folder, c, state, error);
    if (!status)
        status = write_tensors(folder, "optimizer.safetensors", c->optimizer, c->optimizer_count,
                               &state->optimizer, error);
    if (!status) status = write_state(folder, state, error);
    if (status) mm_draft_abandon(*draft);
    return status;
}

static mm_status publish(const mm_checkpoint *c, const char *path, mm_error *error) {
    mm_draft *draft;
    mm_checkpoint_state state;
    mm_status status = write_draft(c, path, &draft, &state, error);
    return status ? status : mm_draft_commit(draft, error);
}

static bool is_same(const mm_checkpoint_state *state, const char *path) {
    mm_checkpoint_state old;
    if (mm_checkpoint_state_read(path, &old, NULL)) return false;
    bool same = old.step == state->step && old.position == state->position && old.tokens == state->tokens &&
                old.streams_version == state->streams_version &&
                old.arithmetic_version == state->arithmetic_version &&
                mm_hash_equal(old.model, state->model) && mm_hash_equal(old.optimizer, state->optimizer);
    for (int i = 0; i < MM_CHECKPOINT_TEXTS; i++)
        same = same && old.texts[i].there == state->texts[i].there &&
               mm_hash_equal(old.texts[i].hash, state->texts[i].hash);
    return same;
}

// Puts the folder `from` in the place of `path` in one step; where the file system cannot, in two.
static mm_status exchange(const char *from, const char *path, mm_error *error) {
    if (renameat2(AT_FDCWD, from, AT_FDCWD, path, RENAME_EXCHANGE) == 0) return MM_OK;
    if (errno != EINVAL && errno != ENOSYS) return mm_trouble_errno(error, path, "replace it");
    mm_status status = checkpoint_retire(path, error);
    if (!status && rename(from, path)) status = mm_trouble_errno(error, path, "replace it");
    return status;
}

// A run that goes on from an older checkpoint comes again to steps whose checkpoints are there. The old one
// stands until the new one is whole on the disk, under a temporary's name.
static mm_status save_again(const mm_checkpoint *c, const char *folder, const char *path, mm_error *error) {
    char name[64], again[PATH_MAX];
    mm_draft *draft;
    mm_checkpoint_state state;
    snprintf(name, sizeof name, "." MM_CHECKPOINT_STEP ".tmp-0-0", (long long)c->state.step);
    mm_status status = mm_path_join(again, sizeof again, folder, name, error);
    if (!status) status = mm_remove_folder(again, error);
    if (!status) status = write_draft(c, again, &draft, &state, error);
    if (status) return status;
    if (is_same(&state, path)) {
        mm_draft_abandon(draft);
        return MM_OK;
    }
    status = mm_draft_commit(draft, error);
    if (!status) status = exchange(again, path, error);
    if (!status) status = mm_sync_folder(folder, error);
    return status ? status : mm_remove_folder(again, error);
}

mm_status mm_checkpoint_save(const char *run_path, const mm_checkpoint *c, int keep, mm_error *error) {
    char folder[PATH_MAX], path[PATH_MAX];
    mm_status status = mm_path_join(folder, sizeof folder, run_path, MM_CHECKPOINTS, error);
    if (!status) status = mm_make_folders(folder, error);
    if (!status) status = mm_checkpoint_path(run_path, c->state.step, path, sizeof path, error);
    if (!status) status = mm_is_folder(path) ? save_again(c, folder, path, error) : publish(c, path, error);
    return status ? status : mm_checkpoint_settle(run_path, keep, error);
}

// --- reading

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// The step of "step-NNNNNN", or -1: as it is written, so that a step has one name.
static int64_t step_of(const char *name) {
    char again[64];
    if (strncmp(name, "step-", 5) != 0) return -1;
    errno = 0;
    int64_t step = strtoll(name + 5, NULL, 10);
    snprintf(again, sizeof again, MM_CHECKPOINT_STEP, (long long)step);
    return errno || step < 0 || strcmp(name, again) != 0 ? -1 : step;
}

mm_status mm_checkpoint_list(const char *run_path, int64_t **steps, int *count, mm_error *error) {
    char path[PATH_MAX];
    *steps = NULL;
    *count = 0;
    mm_status status = mm_path_join(path, sizeof path, run_path, MM_CHECKPOINTS, error);
    if (status) return status;
    DIR *folder = opendir(path);
    if (!folder) return errno == ENOENT ? MM_OK : mm_trouble_errno(error, path, "open it");
    int capacity = 0;
    for (struct dirent *e; !status && (e = readdir(folder));) {
        int64_t step = step_of(e->d_name);
        if (step < 0) continue;
        if (*count == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            int64_t *grown = realloc(*steps, (size_t)capacity * sizeof **steps);
            if (!grown) {
                status = mm_trouble(error, "%s: out of memory", path);
                break;
            }
            *steps = grown;
        }
        (*steps)[(*count)++] = step;
    }
    closedir(folder);
    if (status) {
        free(*steps);
        *steps = NULL;
    } else if (*count) {
        qsort(*steps, (size_t)*count, sizeof **steps, ascending);
    }
    return status;
}

static mm_status read_state(const mm_json_document *document, mm_checkpoint_state *s, mm_error *error) {
    const mm_json *root = mm_json_root(document);
    const char *format;
    int64_t version, position = 0, arithmetic = 0, streams = 0;
    *s = (mm_checkpoint_state){0};
    mm_status status = mm_json_need_string(document, root, "format", &format, error);
    if (!status && strcmp(format, "mm-checkpoint") != 0)
        status = mm_trouble(error, "%s: format \"%s\", expected \"mm-checkpoint\"", mm_json_name(document),
                            format);
    if (!status) status = mm_json_need_integer(document, root, "version", 1, 1, &version, error);
    if (!status) status = mm_json_need_integer(document, root, "step", 0, INT64_MAX, &s->step, error);
    if (!status) status = mm_json_need_integer(document, root, "position", 0, INT64_MAX, &position, error);
    if (!status) status = mm_json_need_integer(document, root, "tokens", 0, TOKENS_MOST, &s->tokens, error);
    if (!status)
        status = mm_json_need_integer(document, root, "arithmetic", 1, INT32_MAX, &arithmetic, error);
    if (!status) status = mm_json_need_integer(document, root, "streams", 1, INT32_MAX, &streams, error);
    if (!status) status = mm_json_need_hash(document, root, "model_xxh128", &s->model, error);
    if (!status) status = mm_json_need_hash(document, root, "optimizer_xxh128", &s->optimizer, error);
    for (int i = 0; !status && i < MM_CHECKPOINT_TEXTS; i++) {
        const char *key = text_files[i].key;
        s->texts[i].there = mm_json_get(root, key) != NULL;
        if (s->texts[i].there) status = mm_json_need_hash(document, root, key, &s->texts[i].hash, error);
    }
    s->position = (uint64_t)position;
    s->arithmetic_version = (int)arithmetic;
    s->streams_version = (int)streams;
    return status;
}

// `otherwise`: what a file means that is not the one that state.json names, and the way out.
static mm_status check_file(const char *folder, const char *name, mm_hash expected, const char *otherwise,
                            mm_error *error) {
    char path[PATH_MAX], a[MM_HASH_TEXT], b[MM_HASH_TEXT];
    mm_hash found = {0};
    mm_status status = mm_path_join(path, sizeof path, folder, name, error);
    if (!status) status = hash_file(path, &found, error);
    if (status || mm_hash_equal(found, expected)) return status;
    return mm_trouble(error, "%s: its XXH3-128 is %s, state.json says %s; %s", path, mm_hash_print(found, a),
                      mm_hash_print(expected, b), otherwise);
}

static mm_status parse_state(const char *path, mm_checkpoint_state *state, mm_error *error) {
    char *text;
    size_t size;
    mm_json_document *document;
    mm_status status = mm_read_file(path, STATE_LIMIT, &text, &size, error);
    if (status) return status;
    status = seal_check(text, size, path, error);
    if (!status) status = mm_json_parse(text, size, path, &document, error);
    free(text);
    if (status) return status;
    status = read_state(document, state, error);
    mm_json_free(document);
    return status;
}

static mm_status read_sealed(const char *path, mm_checkpoint_state *state, mm_error *error) {
    char file[PATH_MAX];
    mm_status status = mm_path_join(file, sizeof file, path, "state.json", error);
    return status ? status : parse_state(file, state, error);
}

mm_status mm_checkpoint_state_read(const char *path, mm_checkpoint_state *state, mm_error *error) {
    static const char damaged[] = "the checkpoint is damaged: " MM_CHECKPOINT_WAY_OUT;
    static const char changed[] = "it was changed: bring the old one back, or, in a copy, remove state.json";
    mm_status status = read_sealed(path, state, error);
    if (!status) status = check_file(path, "model.safetensors", state->model, damaged, error);
    if (!status) status = check_file(path, "optimizer.safetensors", state->optimizer, damaged, error);
    for (int i = 0; !status && i < MM_CHECKPOINT_TEXTS; i++)
        if (state->texts[i].there)
            status = check_file(path, text_files[i].name, state->texts[i].hash, changed, error);
    return status;
}

bool mm_checkpoint_is(const char *path) {
    char file[PATH_MAX], *text;
    size_t size;
    if (mm_path_join(file, sizeof file, path, "state.json", NULL) ||
        mm_read_file(file, STATE_LIMIT, &text, &size, NULL))
        return false;
    bool ours = strstr(text, "\"mm-checkpoint\"") != NULL;
    free(text);
    return ours;
}

mm_status mm_checkpoint_check_weights(const char *path, mm_error *error) {
    mm_checkpoint_state state;
    if (!mm_checkpoint_is(path)) return MM_OK;
    mm_status status = read_sealed(path, &state, error);
    return status ? status
                  : check_file(path, "model.safetensors", state.model,
                               "the weights are damaged; if they were changed on purpose, remove state.json",
                               error);
}

mm_status mm_tensors_read(const char *path, const mm_tensor *tensors, int count, mm_error *error) {
    mm_tensor_files *files;
    mm_status status = mm_tensor_files_open_one(path, &files, error);
    if (status) return status;
    for (int i = 0; !status && i < count; i++) status = mm_tensor_files_read(files, &tensors[i], error);
    for (int i = 0; !status && i < mm_tensor_files_count(files); i++) {
        const char *name = mm_tensor_files_at(files, i).entry->tensor.name;
        if (!mm_tensors_have(tensors, count, name))
            status = mm_trouble(error,
                                "%s: holds the tensor %.200s, which the run's model does not have; restore "
                                "the file from a copy of the run",
                                path, name);
    }
    mm_tensor_files_close(files);
    return status;
}
