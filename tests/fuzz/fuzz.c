#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <mm/files/bgzf.h>
#include <mm/files/publish.h>
#include <sanitizer/allocator_interface.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn void fuzz_failed(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

fuzz_piece fuzz_next(fuzz_piece *rest) {
    static const char divider[] = "\n%%\n";
    enum { WIDTH = sizeof divider - 1 };
    fuzz_piece piece = *rest;
    const char *end = piece.data ? memmem(piece.data, piece.size, divider, WIDTH) : NULL;
    if (!end) {
        *rest = (fuzz_piece){NULL, 0};
        return piece;
    }
    piece.size = (size_t)(end - piece.data);
    rest->data += piece.size + WIDTH;
    rest->size -= piece.size + WIDTH;
    return piece;
}

void fuzz_split(const uint8_t *data, size_t size, fuzz_piece *pieces, int count) {
    fuzz_piece rest = {(const char *)data, size};
    for (int i = 0; i < count - 1; i++) pieces[i] = fuzz_next(&rest);
    pieces[count - 1] = rest;
}

static char folder[FUZZ_PATH - 64];

static void remove_folder(void) {
    mm_status status = mm_remove_folder(folder, NULL);
    (void)status; // a file of it that stays is the system's matter
}

static void make_folder(void) {
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/mm-fuzz-XXXXXX", base && *base ? base : "/tmp");
    fuzz_assert(mkdtemp(folder));
    atexit(remove_folder);
}

char *fuzz_path(char out[FUZZ_PATH], const char *name) {
    if (!folder[0]) make_folder();
    fuzz_assert(snprintf(out, FUZZ_PATH, "%s/%s", folder, name) < FUZZ_PATH);
    return out;
}

static int open_new(const char *name) {
    char path[FUZZ_PATH];
    int fd = open(fuzz_path(path, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    fuzz_assert(fd >= 0);
    return fd;
}

static size_t written; // bytes of the files of this input

static void write_all(int fd, const void *data, size_t size) {
    written += size;
    fuzz_assert(size == 0 || write(fd, data, size) == (ssize_t)size);
}

void fuzz_put(const char *name, fuzz_piece piece) {
    char path[FUZZ_PATH];
    if (!piece.data) {
        fuzz_assert(unlink(fuzz_path(path, name)) == 0 || errno == ENOENT);
        return;
    }
    int fd = open_new(name);
    write_all(fd, piece.data, piece.size);
    close(fd);
}

void fuzz_put_bgzf(const char *name, fuzz_piece raw, size_t block_bytes) {
    static const unsigned char end_member[28] = {0x1f, 0x8b, 8,   4,   0, 0, 0,    0, 0, 0xff,
                                                 6,    0,    'B', 'C', 2, 0, 0x1b, 0, 3};
    static unsigned char member[MM_BGZF_MEMBER_MAX];
    static mm_bgzf_deflater *deflater;
    if (!raw.data) {
        fuzz_put(name, raw);
        return;
    }
    fuzz_assert(deflater || mm_bgzf_deflater_new(1, &deflater, NULL) == MM_OK);
    int fd = open_new(name);
    for (size_t at = 0; at < raw.size; at += block_bytes) {
        size_t part = raw.size - at < block_bytes ? raw.size - at : block_bytes;
        write_all(fd, member, mm_bgzf_deflate(deflater, raw.data + at, part, member));
    }
    write_all(fd, end_member, sizeof end_member);
    close(fd);
}

void fuzz_put_gzip(const char *name, fuzz_piece raw) {
    unsigned char *member = NULL;
    size_t size = 0;
    fuzz_assert(mm_gzip_member(raw.data ? raw.data : "", raw.size, 1, &member, &size, NULL) == MM_OK);
    fuzz_put(name, (fuzz_piece){(const char *)member, size});
    free(member);
}

mm_hash fuzz_put_safetensors(const char *name, fuzz_piece header, fuzz_piece data) {
    size_t size = 8 + header.size + data.size;
    char *file = malloc(size);
    fuzz_assert(file);
    for (int i = 0; i < 8; i++) file[i] = (char)(unsigned char)((uint64_t)header.size >> 8 * i & 0xff);
    if (header.size) memcpy(file + 8, header.data, header.size);
    if (data.size) memcpy(file + 8 + header.size, data.data, data.size);
    fuzz_put(name, (fuzz_piece){file, size});
    mm_hash hash = mm_hash_bytes(file, size);
    free(file);
    return hash;
}

char *fuzz_copy(fuzz_piece piece) {
    char *copy = malloc(piece.size + 1);
    fuzz_assert(copy);
    if (piece.size) memcpy(copy, piece.data, piece.size);
    copy[piece.size] = 0;
    return copy;
}

void fuzz_set_hash(char *text, size_t size, const char *key, int nth, mm_hash hash) {
    char before[64], digits[MM_HASH_TEXT];
    size_t width = (size_t)snprintf(before, sizeof before, "\"%s\": \"", key);
    char *end = text + size;
    for (char *at = text; (at = memmem(at, (size_t)(end - at), before, width));) {
        at += width;
        if (nth-- > 0) continue;
        if ((size_t)(end - at) >= MM_HASH_TEXT - 1) memcpy(at, mm_hash_print(hash, digits), MM_HASH_TEXT - 1);
        return;
    }
}

void fuzz_seal(char *text, size_t size) {
    static const char after[] = "\"\n}\n";
    enum { DIGITS = MM_HASH_TEXT - 1, TAIL = sizeof after - 1 };
    char digits[MM_HASH_TEXT];
    if (size < DIGITS + TAIL) return;
    char *at = text + size - TAIL - DIGITS;
    memset(at, '0', DIGITS);
    memcpy(at, mm_hash_print(mm_hash_bytes(text, size), digits), DIGITS);
}

void fuzz_said(mm_status status, const mm_error *error, const char *name) {
    if (status == MM_TROUBLE && error->text[0] && !strchr(error->text, '\n') && strstr(error->text, name))
        return;
    fprintf(stderr, "status %d, \"%s\": expected trouble that names %s in one line\n", (int)status,
            error->text, name);
    abort();
}

static atomic_llong allocated, highest;
static atomic_bool metered;

static void count_malloc(const volatile void *data, size_t size) {
    (void)data;
    if (!metered) return;
    long long now = atomic_fetch_add(&allocated, (long long)size) + (long long)size;
    if (now > highest) highest = now;
}

static void count_free(const volatile void *data) {
    if (metered && data) atomic_fetch_sub(&allocated, (long long)__sanitizer_get_allocated_size(data));
}

void fuzz_memory_begin(void) {
    static bool installed;
    if (!installed) fuzz_assert(__sanitizer_install_malloc_and_free_hooks(count_malloc, count_free));
    installed = true;
    allocated = highest = 0;
    metered = true;
}

void fuzz_memory_end(size_t constant, size_t factor) {
    size_t limit = constant + factor * written;
    metered = false;
    written = 0;
    if (highest < (long long)limit) return;
    fprintf(stderr, "%lld bytes were allocated at once, expected less than %zu\n", (long long)highest, limit);
    abort();
}

uint64_t fuzz_draw(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
