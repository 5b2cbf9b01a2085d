#include "io.h"
#include "safetensors_format.h"

#include <mm/files/json.h>
#include <mm/files/safetensors.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mm_safetensors_writer {
    char *path;
    int fd;
    uint64_t data;       // offset of the data in the file
    uint64_t data_bytes; // that the header promises
};

// Returns the bytes of the data.
static uint64_t print_header(mm_text *out, const mm_tensor *tensors, int count) {
    mm_json_writer w = mm_json_writer_on(out, 0);
    int64_t at = 0;
    mm_json_open_object(&w);
    mm_json_put_key(&w, "__metadata__");
    mm_json_open_object(&w);
    mm_json_pair_string(&w, "format", "pt");
    mm_json_close(&w);
    for (int i = 0; i < count; i++) {
        const mm_tensor *tensor = &tensors[i];
        int64_t end = at + (int64_t)mm_tensor_bytes(tensor);
        mm_json_put_key(&w, tensor->name);
        mm_json_open_object(&w);
        mm_json_pair_string(&w, "dtype", mm_type_name(tensor->type));
        mm_json_put_key(&w, "shape");
        mm_json_open_array(&w);
        for (int d = 0; d < tensor->dims; d++) mm_json_put_integer(&w, tensor->shape[d]);
        mm_json_close(&w);
        mm_json_put_key(&w, "data_offsets");
        mm_json_open_array(&w);
        mm_json_put_integer(&w, at);
        mm_json_put_integer(&w, end);
        mm_json_close(&w);
        mm_json_close(&w);
        at = end;
    }
    mm_json_close(&w);
    while (out->size % 8 != 0 && !out->failed) mm_text_add(out, " ", 1);
    return (uint64_t)at;
}

static mm_status write_header(mm_safetensors_writer *w, const mm_tensor *tensors, int count,
                              mm_error *error) {
    mm_text header = {0};
    w->data_bytes = print_header(&header, tensors, count);
    uint64_t length = header.size;
    w->data = LENGTH_BYTES + length;
    mm_status status = MM_OK;
    if (header.failed) {
        status = mm_trouble(error, "%s: out of memory for its header", w->path);
    } else if (length > HEADER_MAX) {
        status = mm_trouble(error, "%s: its header would take %llu bytes, expected at most %d", w->path,
                            (unsigned long long)length, HEADER_MAX);
    } else {
        status = mm_io_create(w->path, &w->fd, error);
    }
    if (status == MM_OK) status = mm_io_write(w->fd, &length, LENGTH_BYTES, w->path, error);
    if (status == MM_OK) status = mm_io_write(w->fd, header.data, header.size, w->path, error);
    mm_text_free(&header);
    return status;
}

static void free_writer(mm_safetensors_writer *w) {
    free(w->path);
    free(w);
}

mm_status mm_safetensors_begin(const char *path, const mm_tensor *tensors, int count,
                               mm_safetensors_writer **writer, mm_error *error) {
    *writer = NULL;
    mm_safetensors_writer *made = calloc(1, sizeof *made);
    if (!made || !(made->path = strdup(path))) {
        free(made);
        return mm_trouble(error, "%s: out of memory writing it", path);
    }
    made->fd = -1;
    mm_status status = write_header(made, tensors, count, error);
    if (status != MM_OK) {
        mm_safetensors_abandon(made);
        return status;
    }
    *writer = made;
    return MM_OK;
}

mm_status mm_safetensors_add(mm_safetensors_writer *w, const void *data, size_t bytes, mm_error *error) {
    return mm_io_write(w->fd, data, bytes, w->path, error);
}

mm_status mm_safetensors_put(mm_safetensors_writer *w, uint64_t at, const void *data, size_t bytes,
                             mm_error *error) {
    assert(at <= w->data_bytes && bytes <= w->data_bytes - at);
    return mm_io_write_at(w->fd, data, bytes, w->data + at, w->path, error);
}

mm_status mm_safetensors_end(mm_safetensors_writer *w, mm_error *error) {
    assert(lseek(w->fd, 0, SEEK_END) == (off_t)(w->data + w->data_bytes));
    mm_status status = mm_io_finish(w->fd, w->path, error);
    free_writer(w);
    return status;
}

void mm_safetensors_abandon(mm_safetensors_writer *w) {
    if (!w) return;
    if (w->fd >= 0) {
        close(w->fd);
        unlink(w->path);
    }
    free_writer(w);
}

mm_status mm_safetensors_write(const char *path, const mm_tensor *tensors, int count, mm_error *error) {
    mm_safetensors_writer *writer;
    mm_status status = mm_safetensors_begin(path, tensors, count, &writer, error);
    if (status != MM_OK) return status;
    for (int i = 0; i < count && status == MM_OK; i++)
        status = mm_safetensors_add(writer, tensors[i].data, mm_tensor_bytes(&tensors[i]), error);
    if (status == MM_OK) return mm_safetensors_end(writer, error);
    mm_safetensors_abandon(writer);
    return status;
}
