#include <mm/files/json.h>
#include <mm/files/publish.h>
#include <mm/files/tensor_files.h>

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INDEX_LIMIT = 16 << 20, SHARDS_MAX = 512 };

struct mm_tensor_files {
    char path[PATH_MAX]; // of model.safetensors or the index
    int shards;
    mm_safetensors **shard;
    int count;
    mm_tensor_place *places;  // in order
    mm_tensor_place *by_name; // the same, sorted
    const char *dropped;      // what names lose before they are looked for; NULL: nothing
};

const char *mm_tensor_files_path(const mm_tensor_files *files) {
    return files->path;
}
int mm_tensor_files_shards(const mm_tensor_files *files) {
    return files->shards;
}
int mm_tensor_files_count(const mm_tensor_files *files) {
    return files->count;
}

mm_tensor_place mm_tensor_files_at(const mm_tensor_files *files, int index) {
    assert(index >= 0 && index < files->count);
    return files->places[index];
}

static int by_name(const void *a, const void *b) {
    const mm_tensor_place *x = a, *y = b;
    return strcmp(x->entry->tensor.name, y->entry->tensor.name);
}

void mm_tensor_files_drop(mm_tensor_files *files, const char *prefix) {
    files->dropped = prefix;
}

const char *mm_tensor_files_held_name(const mm_tensor_files *files, const char *name) {
    size_t drop = files->dropped ? strlen(files->dropped) : 0;
    return drop && strncmp(name, files->dropped, drop) == 0 ? name + drop : name;
}

mm_tensor_place mm_tensor_files_find(const mm_tensor_files *files, const char *name) {
    mm_safetensors_entry entry = {.tensor.name = mm_tensor_files_held_name(files, name)};
    mm_tensor_place wanted = {NULL, &entry}, none = {NULL, NULL};
    const mm_tensor_place *found =
        files->count ? bsearch(&wanted, files->by_name, (size_t)files->count, sizeof wanted, by_name) : NULL;
    return found ? *found : none;
}

void mm_tensor_files_close(mm_tensor_files *files) {
    if (!files) return;
    for (int i = 0; i < files->shards; i++) mm_safetensors_close(files->shard[i]);
    free(files->shard);
    free(files->places);
    free(files->by_name);
    free(files);
}

static mm_status out_of_memory(const mm_tensor_files *files, mm_error *error) {
    return mm_trouble(error, "%s: out of memory for its tables", files->path);
}

// The tables of what the shards hold; a tensor that stands in two of them is trouble.
static mm_status list_tensors(mm_tensor_files *files, mm_error *error) {
    size_t count = 0;
    for (int s = 0; s < files->shards; s++) count += (size_t)mm_safetensors_count(files->shard[s]);
    files->places = malloc((count + 1) * sizeof *files->places);
    files->by_name = malloc((count + 1) * sizeof *files->by_name);
    if (!files->places || !files->by_name || count > INT_MAX) return out_of_memory(files, error);
    for (int s = 0; s < files->shards; s++) {
        for (int i = 0; i < mm_safetensors_count(files->shard[s]); i++)
            files->places[files->count++] =
                (mm_tensor_place){files->shard[s], mm_safetensors_at(files->shard[s], i)};
    }
    memcpy(files->by_name, files->places, count * sizeof *files->places);
    qsort(files->by_name, count, sizeof *files->by_name, by_name);
    for (size_t i = 1; i < count; i++) {
        const mm_tensor_place *a = &files->by_name[i - 1], *b = &files->by_name[i];
        if (by_name(a, b) == 0)
            return mm_trouble(error, "%s: tensor \"%.200s\" stands in %s too, expected it once",
                              mm_safetensors_path(a->file), a->entry->tensor.name,
                              mm_safetensors_path(b->file));
    }
    return MM_OK;
}

static mm_status open_shard(mm_tensor_files *files, const char *path, mm_error *error) {
    mm_status status = mm_safetensors_open(path, &files->shard[files->shards], error);
    if (!status) files->shards++;
    return status;
}

// --- the index

// A name that can only lead to a file of the folder itself.
static mm_status check_shard_name(const mm_json_document *index, const char *tensor, const mm_json *value,
                                  mm_error *error) {
    size_t size;
    const char *name = mm_json_string(value, &size), *end = ".safetensors";
    size_t tail = strlen(end);
    if (!name)
        return mm_trouble(error, "%s: weight_map: \"%.200s\": found %s, expected the name of a shard",
                          mm_json_name(index), tensor, mm_json_kind_name(mm_json_kind_of(value)));
    if (strlen(name) == size && !strchr(name, '/') && name[0] != '.' && size > tail && size <= NAME_MAX &&
        strcmp(name + size - tail, end) == 0)
        return MM_OK;
    return mm_trouble(error,
                      "%s: weight_map: \"%.200s\" is said to be in \"%.200s\", expected the name of a "
                      ".safetensors file beside the index, without folders",
                      mm_json_name(index), tensor, name);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// The shards' names, each once, sorted; they belong to the document.
static mm_status list_shards(const mm_json_document *index, const mm_json *map, const char **names,
                             size_t *count, mm_error *error) {
    size_t all = 0;
    *count = 0;
    for (const void *i = mm_json_first(map); i; i = mm_json_next(map, i)) {
        mm_status status = check_shard_name(index, mm_json_key(i, NULL), mm_json_value(i), error);
        if (status) return status;
        names[all++] = mm_json_string(mm_json_value(i), NULL);
    }
    qsort(names, all, sizeof *names, by_text);
    for (size_t i = 0; i < all; i++)
        if (i == 0 || strcmp(names[i], names[*count - 1]) != 0) names[(*count)++] = names[i];
    if (*count >= 1 && *count <= SHARDS_MAX) return MM_OK;
    return mm_trouble(error, "%s: weight_map names %zu shards, expected 1 to %d", mm_json_name(index), *count,
                      SHARDS_MAX);
}

static mm_status open_shards(mm_tensor_files *files, const char *folder, const mm_json_document *index,
                             const mm_json *map, mm_error *error) {
    size_t count;
    const char **names = malloc((mm_json_size(map) + 1) * sizeof *names);
    if (!names) return out_of_memory(files, error);
    mm_status status = list_shards(index, map, names, &count, error);
    if (!status) {
        files->shard = calloc(count, sizeof *files->shard);
        if (!files->shard) status = out_of_memory(files, error);
    }
    for (size_t i = 0; !status && i < count; i++) {
        char path[PATH_MAX];
        status = mm_path_join(path, sizeof path, folder, names[i], error);
        if (!status && !mm_is_file(path))
            status = mm_trouble(error, "%s: no such file, which %s names; fetch the model again", path,
                                files->path);
        if (!status) status = open_shard(files, path, error);
    }
    free(names);
    return status;
}

static const char *name_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// The index and the shards say the same.
static mm_status check_map(const mm_tensor_files *files, const mm_json *map, mm_error *error) {
    for (const void *i = mm_json_first(map); i; i = mm_json_next(map, i)) {
        const char *name = mm_json_key(i, NULL), *shard = mm_json_string(mm_json_value(i), NULL);
        mm_tensor_place place = mm_tensor_files_find(files, name);
        if (!place.entry || strcmp(name_of(mm_safetensors_path(place.file)), shard) != 0)
            return mm_trouble(
                error, "%s: tensor \"%.200s\" is said to be in %.200s, but it is %s%s; fetch the model again",
                files->path, name, shard, place.entry ? "in " : "not there",
                place.entry ? name_of(mm_safetensors_path(place.file)) : "");
    }
    for (int i = 0; i < files->count; i++) {
        const char *name = files->places[i].entry->tensor.name;
        if (!mm_json_get(map, name))
            return mm_trouble(error, "%s: holds the tensor \"%.200s\", which %s does not name",
                              mm_safetensors_path(files->places[i].file), name, files->path);
    }
    return MM_OK;
}

static mm_status open_index(mm_tensor_files *files, const char *folder, mm_error *error) {
    mm_json_document *index;
    mm_status status = mm_json_read(files->path, INDEX_LIMIT, &index, error);
    if (status) return status;
    const mm_json *map;
    status = mm_json_need(index, mm_json_root(index), "weight_map", MM_JSON_OBJECT, &map, error);
    if (!status) status = open_shards(files, folder, index, map, error);
    if (!status) status = list_tensors(files, error);
    if (!status) status = check_map(files, map, error);
    mm_json_free(index);
    return status;
}

// --- opening

static mm_status open_single(mm_tensor_files *files, mm_error *error) {
    files->shard = calloc(1, sizeof *files->shard);
    if (!files->shard) return out_of_memory(files, error);
    mm_status status = open_shard(files, files->path, error);
    return status ? status : list_tensors(files, error);
}

// Whatever has the single one's name is opened, or refused for what it is, and the index not taken in its
// place.
static mm_status find_files(mm_tensor_files *files, const char *folder, bool *sharded, mm_error *error) {
    char index[PATH_MAX];
    mm_status status = mm_path_join(files->path, sizeof files->path, folder, "model.safetensors", error);
    if (!status) status = mm_path_join(index, sizeof index, folder, "model.safetensors.index.json", error);
    *sharded = !status && !mm_is_there(files->path);
    if (status || !*sharded) return status;
    if (!mm_is_there(index))
        return mm_trouble(error,
                          "%s: no such file, expected the model's weights there or in shards that %s names; "
                          "transformers' save_pretrained makes them of other files (pytorch_model.bin)",
                          files->path, index);
    strcpy(files->path, index);
    return MM_OK;
}

static mm_status open_files(const char *path, bool folder, mm_tensor_files **files, mm_error *error) {
    *files = NULL;
    mm_tensor_files *made = calloc(1, sizeof *made);
    if (!made) return mm_trouble(error, "%s: out of memory for its tables", path);
    bool sharded = false;
    mm_status status = MM_OK;
    if (folder)
        status = find_files(made, path, &sharded, error);
    else if ((size_t)snprintf(made->path, sizeof made->path, "%s", path) >= sizeof made->path)
        status = mm_trouble(error, "%.200s...: the path is too long", path);
    if (!status) status = sharded ? open_index(made, path, error) : open_single(made, error);
    if (status)
        mm_tensor_files_close(made);
    else
        *files = made;
    return status;
}

mm_status mm_tensor_files_open(const char *folder, mm_tensor_files **files, mm_error *error) {
    return open_files(folder, true, files, error);
}

mm_status mm_tensor_files_open_one(const char *path, mm_tensor_files **files, mm_error *error) {
    return open_files(path, false, files, error);
}

// --- reading

static void print_shape(char *out, size_t size, const mm_tensor *tensor) {
    size_t used = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < tensor->dims && used < size; i++)
        used +=
            (size_t)snprintf(out + used, size - used, "%s%lld", i ? ", " : "", (long long)tensor->shape[i]);
    if (used < size) snprintf(out + used, size - used, "]");
}

static bool same_shape(const mm_tensor *a, const mm_tensor *b) {
    if (a->dims != b->dims) return false;
    for (int i = 0; i < a->dims; i++)
        if (a->shape[i] != b->shape[i]) return false;
    return true;
}

mm_status mm_tensor_files_need(const mm_tensor_files *files, const mm_tensor *wanted, mm_tensor_place *place,
                               mm_error *error) {
    *place = mm_tensor_files_find(files, wanted->name);
    const mm_safetensors_entry *entry = place->entry;
    char found[128], expected[128];
    print_shape(expected, sizeof expected, wanted);
    if (!entry)
        return mm_trouble(error, "%s: has no tensor %s, expected one of shape %s", files->path, wanted->name,
                          expected);
    mm_type type = entry->tensor.type;
    bool floats = entry->known && (type == MM_F32 || type == MM_F16 || type == MM_BF16);
    if (floats && same_shape(&entry->tensor, wanted)) return MM_OK;
    print_shape(found, sizeof found, &entry->tensor);
    return mm_trouble(error, "%s: tensor %s is %s %s, expected F32, F16 or BF16 of shape %s",
                      mm_safetensors_path(place->file), wanted->name, entry->type_name, found, expected);
}

mm_status mm_tensor_files_read(const mm_tensor_files *files, const mm_tensor *wanted, mm_error *error) {
    mm_tensor_place place;
    mm_status status = mm_tensor_files_need(files, wanted, &place, error);
    return status ? status : mm_safetensors_read_float(place.file, place.entry, wanted->data, error);
}
