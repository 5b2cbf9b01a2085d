// Plain gzip: input text in members of any size, and single members to append.
#include <mm/files/bgzf.h>

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { WINDOW_GZIP = 15 + 16, IN_BYTES = 65536 };

struct mm_gzin {
    char *path;
    int fd;
    bool regular;
    off_t size; // when it was opened, of a regular file
    struct timespec changed;
    const volatile sig_atomic_t *stop; // NULL: never
    bool ended;                        // the file has no more bytes than those in `in`
    bool plain;                        // not gzip: handed on as it is
    bool inside;                       // within a member
    bool zlib;                         // the z_stream is set up
    uint64_t read;                     // bytes of the file that came into `in`
    uint64_t member;                   // number of the member, from 0
    z_stream inflate;                  // next_in, avail_in: what of `in` is left, also of a plain file
    unsigned char in[IN_BYTES];
};

// Waits for a pipe or a terminal, looking now and then whether to stop: the signal may come to another
// thread.
static mm_status wait_for_input(const mm_gzin *in, mm_error *error) {
    enum { LOOK_MILLISECONDS = 100 };
    if (in->regular || !in->stop) return MM_OK;
    struct pollfd look = {.fd = in->fd, .events = POLLIN};
    while (!*in->stop)
        if (poll(&look, 1, LOOK_MILLISECONDS) > 0) return MM_OK; // trouble, too, is the read's
    return mm_fail(error, MM_INTERRUPTED, "%s: interrupted while it was read", in->path);
}

// Reads behind what is left in the buffer, which must have room.
static mm_status fill(mm_gzin *in, mm_error *error) {
    memmove(in->in, in->inflate.next_in, in->inflate.avail_in);
    in->inflate.next_in = in->in;
    mm_status status = wait_for_input(in, error);
    if (status != MM_OK) return status;
    ssize_t got;
    do {
        got = read(in->fd, in->in + in->inflate.avail_in, IN_BYTES - in->inflate.avail_in);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return mm_trouble_errno(error, in->path, "read from it");
    in->ended = got == 0;
    in->inflate.avail_in += (uInt)got;
    in->read += (uint64_t)got;
    return MM_OK;
}

void mm_gzin_close(mm_gzin *in) {
    if (!in) return;
    if (in->fd > STDIN_FILENO) close(in->fd);
    if (in->zlib) inflateEnd(&in->inflate);
    free(in->path);
    free(in);
}

mm_status mm_gzin_open(const char *path, mm_gzin **in, mm_error *error) {
    return mm_gzin_open_until(path, NULL, in, error);
}

static mm_status open_file(mm_gzin *in, const char *path, bool standard, mm_error *error) {
    if (!standard) in->fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (in->fd < 0 || fstat(in->fd, &info) < 0) return mm_trouble_errno(error, in->path, "open the file");
    in->regular = S_ISREG(info.st_mode);
    in->size = info.st_size;
    in->changed = info.st_mtim;
    return MM_OK;
}

mm_status mm_gzin_open_until(const char *path, const volatile sig_atomic_t *stop, mm_gzin **in,
                             mm_error *error) {
    *in = NULL;
    bool standard = strcmp(path, "-") == 0;
    mm_gzin *made = calloc(1, sizeof *made);
    if (!made) return mm_trouble(error, "%s: out of memory opening it", path);
    made->fd = STDIN_FILENO;
    made->path = strdup(standard ? "standard input" : path);
    made->zlib = inflateInit2(&made->inflate, WINDOW_GZIP) == Z_OK;
    made->inflate.next_in = made->in;
    mm_status status = MM_OK;
    if (!made->path || !made->zlib) status = mm_trouble(error, "%s: out of memory opening it", path);
    made->stop = stop;
    if (status == MM_OK) status = open_file(made, path, standard, error);
    while (status == MM_OK && made->inflate.avail_in < 2 && !made->ended) status = fill(made, error);
    if (status != MM_OK) {
        mm_gzin_close(made);
        return status;
    }
    made->plain = made->inflate.avail_in < 2 || made->in[0] != 0x1f || made->in[1] != 0x8b;
    *in = made;
    return MM_OK;
}

bool mm_gzin_plain(const mm_gzin *in) {
    return in->plain;
}

uint64_t mm_gzin_position(const mm_gzin *in) {
    return in->read - in->inflate.avail_in;
}

mm_status mm_gzin_unchanged(const mm_gzin *in, mm_error *error) {
    struct stat info;
    if (!in->regular) return MM_OK;
    if (fstat(in->fd, &info) < 0) return mm_trouble_errno(error, in->path, "look at it");
    if (info.st_size == in->size && info.st_mtim.tv_sec == in->changed.tv_sec &&
        info.st_mtim.tv_nsec == in->changed.tv_nsec)
        return MM_OK;
    return mm_trouble(error,
                      "%s: changed while it was read: found %lld bytes, expected the %lld from before; "
                      "start again when nothing writes to it",
                      in->path, (long long)info.st_size, (long long)in->size);
}

static mm_status damaged(const mm_gzin *in, const char *found, mm_error *error) {
    return mm_trouble(
        error,
        "%s: gzip member %llu, near byte %llu: found %s, expected whole gzip members to the end; "
        "restore the file or compress it again",
        in->path, (unsigned long long)in->member, (unsigned long long)(in->read - in->inflate.avail_in),
        found);
}

// Inflates until `out` is full, the member ends, or the buffer is empty.
static mm_status inflate_some(mm_gzin *in, mm_error *error) {
    int answer = inflate(&in->inflate, Z_NO_FLUSH);
    if (answer == Z_STREAM_END) {
        in->inside = false;
        in->member++;
        return MM_OK;
    }
    if (answer == Z_OK || answer == Z_BUF_ERROR) return MM_OK;
    if (answer == Z_MEM_ERROR) return mm_trouble(error, "%s: out of memory inflating it", in->path);
    return damaged(in, in->inflate.msg ? in->inflate.msg : "bytes that are not gzip", error);
}

static mm_status read_members(mm_gzin *in, void *out, size_t size, size_t *got, mm_error *error) {
    in->inflate.next_out = out;
    in->inflate.avail_out = (uInt)size;
    while (in->inflate.avail_out == size) {
        if (in->inflate.avail_in == 0 && !in->ended) {
            mm_status status = fill(in, error);
            if (status != MM_OK) return status;
        }
        if (in->inflate.avail_in == 0 && in->ended) {
            // Output may still be held back by a full buffer of the call before.
            if (!in->inside) return MM_OK;
            mm_status status = inflate_some(in, error);
            if (status != MM_OK) return status;
            if (in->inside && in->inflate.avail_out == size) return damaged(in, "the end of the file", error);
            continue;
        }
        if (!in->inside) {
            inflateReset(&in->inflate);
            in->inside = true;
        }
        mm_status status = inflate_some(in, error);
        if (status != MM_OK) return status;
    }
    *got = size - in->inflate.avail_out;
    return MM_OK;
}

mm_status mm_gzin_read(mm_gzin *in, void *out, size_t size, size_t *got, mm_error *error) {
    *got = 0;
    if (size == 0) return MM_OK;
    if (size > INT32_MAX) size = INT32_MAX; // zlib counts in 32 bits
    if (!in->plain) return read_members(in, out, size, got, error);
    if (in->inflate.avail_in == 0 && !in->ended) {
        mm_status status = fill(in, error);
        if (status != MM_OK) return status;
    }
    size_t part = size < in->inflate.avail_in ? size : in->inflate.avail_in;
    memcpy(out, in->inflate.next_in, part);
    in->inflate.next_in += part;
    in->inflate.avail_in -= (uInt)part;
    *got = part;
    return MM_OK;
}

// Deflates all of `data` into [out, out + room); true with the size if it fits.
static bool deflate_all(z_stream *z, const unsigned char *data, size_t size, unsigned char *out, size_t room,
                        size_t *made) {
    enum { PIECE = 1 << 30 }; // zlib counts in 32 bits
    size_t left_in = size, left_out = room;
    z->next_in = (unsigned char *)(uintptr_t)data; // zlib does not write there
    z->next_out = out;
    for (;;) {
        uInt in_now = left_in < PIECE ? (uInt)left_in : PIECE,
             out_now = left_out < PIECE ? (uInt)left_out : PIECE;
        z->avail_in = in_now;
        z->avail_out = out_now;
        int answer = deflate(z, left_in == in_now ? Z_FINISH : Z_NO_FLUSH);
        left_in -= in_now - z->avail_in;
        left_out -= out_now - z->avail_out;
        *made = room - left_out;
        if (answer == Z_STREAM_END) return true;
        if (answer != Z_OK || left_out == 0) return false;
    }
}

mm_status mm_gzip_member(const void *data, size_t size, int level, unsigned char **out, size_t *out_size,
                         mm_error *error) {
    z_stream z = {0};
    if (deflateInit2(&z, level, Z_DEFLATED, WINDOW_GZIP, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return mm_trouble(error, "compressing %zu bytes: out of memory", size);
    }
    size_t room = deflateBound(&z, size), made = 0;
    unsigned char *grown = room < SIZE_MAX - *out_size ? realloc(*out, *out_size + room) : NULL;
    if (grown) *out = grown;
    bool good = grown && deflate_all(&z, data, size, grown + *out_size, room, &made);
    deflateEnd(&z);
    if (!good) return mm_trouble(error, "compressing %zu bytes: out of memory", size);
    *out_size += made;
    return MM_OK;
}
