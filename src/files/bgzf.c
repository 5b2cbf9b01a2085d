// BGZF: writing blocks in a row, and reading them at random. Plain gzip streams are in bgzf_stream.c.
#include "io.h"

#include <mm/files/bgzf.h>

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum {
    HEADER_BYTES = 18,
    TRAILER_BYTES = 8, // CRC32, raw size
    MEMBER_MIN = HEADER_BYTES + 2 + TRAILER_BYTES,
    END_BYTES = 28,
    BSIZE_AT = 16
};

// The header of every member; BSIZE goes into the last two bytes. No time, no name, so equal data gives equal
// bytes.
static const unsigned char header_bytes[HEADER_BYTES] = {0x1f, 0x8b, 8, 4,   0,   0, 0, 0, 0,
                                                         0xff, 6,    0, 'B', 'C', 2, 0, 0, 0};
static const unsigned char end_bytes[END_BYTES] = {0x1f, 0x8b, 8,    4, 0, 0, 0, 0, 0, 0xff, 6, 0, 'B', 'C',
                                                   2,    0,    0x1b, 0, 3, 0, 0, 0, 0, 0,    0, 0, 0,   0};

static void put_u16(unsigned char *out, uint32_t value) {
    out[0] = (unsigned char)(value & 0xff);
    out[1] = (unsigned char)(value >> 8);
}

static void put_u32(unsigned char *out, uint32_t value) {
    put_u16(out, value & 0xffff);
    put_u16(out + 2, value >> 16);
}

static uint32_t get_u16(const unsigned char *in) {
    return (uint32_t)in[0] | (uint32_t)in[1] << 8;
}
static uint32_t get_u32(const unsigned char *in) {
    return get_u16(in) | get_u16(in + 2) << 16;
}

struct mm_bgzf_deflater {
    z_stream deflate;
};

mm_status mm_bgzf_deflater_new(int level, mm_bgzf_deflater **deflater, mm_error *error) {
    assert(level >= 0 && level <= 9);
    mm_bgzf_deflater *made = calloc(1, sizeof *made);
    *deflater = made;
    if (made && deflateInit2(&made->deflate, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK)
        return MM_OK;
    free(made);
    *deflater = NULL;
    return mm_trouble(error, "compressing: out of memory");
}

void mm_bgzf_deflater_free(mm_bgzf_deflater *deflater) {
    if (!deflater) return;
    deflateEnd(&deflater->deflate);
    free(deflater);
}

// Deflates the block behind the member's header; bytes made. A block that deflate does not make smaller than
// one stored block would be (RFC 1951, 3.2.4) is stored, so a member fits whatever the data and however far a
// zlib expands them.
static uint32_t compress_block(z_stream *z, const unsigned char *raw, uint32_t size, unsigned char *out) {
    enum { STORED_EXTRA = 5 };
    deflateReset(z);
    z->next_in = (unsigned char *)(uintptr_t)raw; // zlib does not write there
    z->avail_in = size;
    z->next_out = out;
    z->avail_out = size + STORED_EXTRA - 1;
    if (deflate(z, Z_FINISH) == Z_STREAM_END) return (uint32_t)z->total_out;
    out[0] = 1; // last, and stored
    put_u16(out + 1, size);
    put_u16(out + 3, size ^ 0xffff);
    memcpy(out + STORED_EXTRA, raw, size);
    return size + STORED_EXTRA;
}

size_t mm_bgzf_deflate(mm_bgzf_deflater *deflater, const void *raw, size_t size,
                       unsigned char member[MM_BGZF_MEMBER_MAX]) {
    assert(size >= 1 && size <= MM_BGZF_BLOCK_MAX);
    uint32_t packed = compress_block(&deflater->deflate, raw, (uint32_t)size, member + HEADER_BYTES);
    uint32_t total = HEADER_BYTES + packed + TRAILER_BYTES;
    memcpy(member, header_bytes, HEADER_BYTES);
    put_u16(member + BSIZE_AT, total - 1);
    unsigned char *trailer = member + total - TRAILER_BYTES;
    put_u32(trailer, (uint32_t)crc32(0, raw, (uInt)size));
    put_u32(trailer + 4, (uint32_t)size);
    return total;
}

struct mm_bgzf_writer {
    char *path;
    int fd; // -1 until the file is made
    int block_bytes;
    bool broken; // a write failed: the file must not get its end member
    bool ended;  // a block of fewer bytes came, which is the last
    mm_hasher *hasher;
    uint64_t raw_bytes;
};

static void free_writer(mm_bgzf_writer *writer) {
    mm_hasher_free(writer->hasher);
    free(writer->path);
    free(writer);
}

void mm_bgzf_discard(mm_bgzf_writer *writer) {
    if (!writer) return;
    if (writer->fd >= 0) close(writer->fd);
    free_writer(writer);
}

mm_status mm_bgzf_create(const char *path, int block_bytes, mm_bgzf_writer **writer, mm_error *error) {
    assert(block_bytes >= 1 && block_bytes <= MM_BGZF_BLOCK_MAX);
    *writer = NULL;
    mm_bgzf_writer *made = calloc(1, sizeof *made);
    if (!made) return mm_trouble(error, "%s: out of memory writing it", path);
    made->fd = -1;
    made->block_bytes = block_bytes;
    made->path = strdup(path);
    made->hasher = mm_hasher_new();
    mm_status status = MM_OK;
    if (!made->path || !made->hasher) status = mm_trouble(error, "%s: out of memory writing it", path);
    if (status == MM_OK) status = mm_io_create(path, &made->fd, error);
    if (status != MM_OK) {
        mm_bgzf_discard(made);
        return status;
    }
    *writer = made;
    return MM_OK;
}

static mm_status broken(const mm_bgzf_writer *writer, mm_error *error) {
    return mm_trouble(error, "%s: an earlier write failed", writer->path);
}

mm_status mm_bgzf_append(mm_bgzf_writer *writer, const void *raw, size_t size, const void *member,
                         size_t member_size, mm_error *error) {
    if (writer->broken) return broken(writer, error);
    assert(!writer->ended && size >= 1 && size <= (size_t)writer->block_bytes);
    writer->ended = size < (size_t)writer->block_bytes;
    mm_hasher_add(writer->hasher, raw, size);
    writer->raw_bytes += size;
    mm_status status = mm_io_write(writer->fd, member, member_size, writer->path, error);
    writer->broken = status != MM_OK;
    return status;
}

mm_status mm_bgzf_finish(mm_bgzf_writer *writer, mm_hash *hash, uint64_t *raw_bytes, mm_error *error) {
    mm_status status = MM_OK;
    if (writer->broken) status = broken(writer, error);
    if (status == MM_OK) status = mm_io_write(writer->fd, end_bytes, END_BYTES, writer->path, error);
    if (status != MM_OK) {
        mm_bgzf_discard(writer);
        return status;
    }
    status = mm_io_finish(writer->fd, writer->path, error);
    if (hash) *hash = mm_hasher_end(writer->hasher);
    if (raw_bytes) *raw_bytes = writer->raw_bytes;
    free_writer(writer);
    return status;
}

struct mm_bgzf {
    char *path;
    int fd;
    int block_bytes;
    uint64_t bytes;     // of the file
    uint64_t raw_bytes; // of all blocks
    uint64_t blocks;    // without the end member
    uint64_t capacity;  // of `starts` and `checks`
    uint64_t *starts;   // offset in the file of each block, and of the end member
    uint32_t *checks;   // CRC32 of each block, as the file said when it was opened
};

__attribute__((format(printf, 5, 6))) static mm_status
damaged(mm_error *error, const char *path, uint64_t block, uint64_t at, const char *format, ...) {
    char text[512];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    return mm_trouble(error,
                      "%s: block %llu at byte %llu: %s; the file is damaged, restore it or write it again",
                      path, (unsigned long long)block, (unsigned long long)at, text);
}

static mm_status grow_index(mm_bgzf *file, mm_error *error) {
    if (file->blocks < file->capacity) return MM_OK;
    uint64_t capacity = file->capacity ? 2 * file->capacity : 64;
    uint64_t *starts = realloc(file->starts, capacity * sizeof *starts);
    if (starts) file->starts = starts;
    uint32_t *checks = realloc(file->checks, capacity * sizeof *checks);
    if (checks) file->checks = checks;
    if (!starts || !checks)
        return mm_trouble(error, "%s: out of memory for an index of more than %llu blocks", file->path,
                          (unsigned long long)file->blocks);
    file->capacity = capacity;
    return MM_OK;
}

// The bytes at `at`, the file's last 28, must be the end member.
static mm_status check_end(const mm_bgzf *file, uint64_t at, mm_error *error) {
    unsigned char found[END_BYTES];
    mm_status status = mm_io_read_at(file->fd, found, END_BYTES, at, file->path, error);
    if (status != MM_OK) return status;
    for (int i = 0; i < END_BYTES; i++) {
        if (found[i] == end_bytes[i]) continue;
        return damaged(error, file->path, file->blocks, at,
                       "found 0x%02x at byte %llu, expected 0x%02x of the end member", found[i],
                       (unsigned long long)at + i, end_bytes[i]);
    }
    return MM_OK;
}

// The member's size as its header says, checked against the file.
static mm_status read_header(const mm_bgzf *file, uint64_t at, uint32_t *size, mm_error *error) {
    uint64_t left = file->bytes - at;
    if (left < END_BYTES) {
        return damaged(error, file->path, file->blocks, at,
                       "found %llu bytes to the end of the file, expected an end member of %d",
                       (unsigned long long)left, END_BYTES);
    }
    unsigned char found[HEADER_BYTES];
    mm_status status = mm_io_read_at(file->fd, found, HEADER_BYTES, at, file->path, error);
    if (status != MM_OK) return status;
    for (int i = 0; i < BSIZE_AT; i++) {
        if (found[i] == header_bytes[i]) continue;
        return damaged(error, file->path, file->blocks, at,
                       "found 0x%02x at byte %llu, expected 0x%02x of a BGZF header", found[i],
                       (unsigned long long)at + i, header_bytes[i]);
    }
    *size = get_u16(found + BSIZE_AT) + 1;
    if (*size < MEMBER_MIN) {
        return damaged(error, file->path, file->blocks, at,
                       "found a member of %u bytes, expected at least %d", *size, MEMBER_MIN);
    }
    if (*size > left - END_BYTES) {
        return damaged(
            error, file->path, file->blocks, at,
            "found %llu bytes to the end of the file, expected a block of %u and an end member of %d",
            (unsigned long long)left, *size, END_BYTES);
    }
    return MM_OK;
}

// Takes in the block at *at: its size, its raw size, and its place in the index.
static mm_status index_block(mm_bgzf *file, uint64_t *at, uint32_t *raw, mm_error *error) {
    if (file->blocks > 0 && *raw != (uint32_t)file->block_bytes) {
        return damaged(error, file->path, file->blocks - 1, file->starts[file->blocks - 1],
                       "found %u raw bytes, expected %d in every block but the last", *raw,
                       file->block_bytes);
    }
    uint32_t size = 0;
    mm_status status = read_header(file, *at, &size, error);
    if (status != MM_OK) return status;
    unsigned char trailer[TRAILER_BYTES];
    status = mm_io_read_at(file->fd, trailer, sizeof trailer, *at + size - sizeof trailer, file->path, error);
    if (status != MM_OK) return status;
    *raw = get_u32(trailer + 4);
    if (*raw < 1 || *raw > (uint32_t)file->block_bytes) {
        return damaged(error, file->path, file->blocks, *at, "found a size of %u raw bytes, expected 1 to %d",
                       *raw, file->block_bytes);
    }
    file->checks[file->blocks] = get_u32(trailer);
    file->starts[file->blocks++] = *at;
    file->raw_bytes += *raw;
    *at += size;
    return grow_index(file, error);
}

static mm_status build_index(mm_bgzf *file, mm_error *error) {
    uint64_t at = 0;
    uint32_t raw = 0;
    mm_status status = grow_index(file, error);
    while (status == MM_OK && file->bytes - at != END_BYTES) status = index_block(file, &at, &raw, error);
    if (status != MM_OK) return status;
    file->starts[file->blocks] = at;
    return check_end(file, at, error);
}

void mm_bgzf_close(mm_bgzf *file) {
    if (!file) return;
    if (file->fd >= 0) close(file->fd);
    free(file->starts);
    free(file->checks);
    free(file->path);
    free(file);
}

mm_status mm_bgzf_open(const char *path, int block_bytes, mm_bgzf **file, mm_error *error) {
    assert(block_bytes >= 1 && block_bytes <= MM_BGZF_BLOCK_MAX);
    *file = NULL;
    mm_bgzf *made = calloc(1, sizeof *made);
    if (!made) return mm_trouble(error, "%s: out of memory opening it", path);
    made->fd = -1;
    made->block_bytes = block_bytes;
    made->path = strdup(path);
    mm_status status = made->path ? MM_OK : mm_trouble(error, "%s: out of memory opening it", path);
    if (status == MM_OK) status = mm_io_open(path, &made->fd, &made->bytes, error);
    if (status == MM_OK) status = build_index(made, error);
    if (status != MM_OK) {
        mm_bgzf_close(made);
        return status;
    }
    *file = made;
    return MM_OK;
}

uint64_t mm_bgzf_raw_bytes(const mm_bgzf *file) {
    return file->raw_bytes;
}
const char *mm_bgzf_path(const mm_bgzf *file) {
    return file->path;
}

struct mm_bgzf_cursor {
    const mm_bgzf *file;
    z_stream inflate;
    uint64_t block; // the one in `raw`, or UINT64_MAX
    unsigned char raw[MM_BGZF_BLOCK_MAX];
    unsigned char member[MM_BGZF_MEMBER_MAX];
};

mm_status mm_bgzf_cursor_new(const mm_bgzf *file, mm_bgzf_cursor **cursor, mm_error *error) {
    *cursor = NULL;
    mm_bgzf_cursor *made = malloc(sizeof *made);
    if (made) memset(&made->inflate, 0, sizeof made->inflate);
    if (!made || inflateInit2(&made->inflate, -15) != Z_OK) {
        free(made);
        return mm_trouble(error, "%s: out of memory reading it", file->path);
    }
    made->file = file;
    made->block = UINT64_MAX;
    *cursor = made;
    return MM_OK;
}

void mm_bgzf_cursor_free(mm_bgzf_cursor *cursor) {
    if (!cursor) return;
    inflateEnd(&cursor->inflate);
    free(cursor);
}

// Raw bytes of a block, by division.
static uint32_t raw_size(const mm_bgzf *file, uint64_t block) {
    uint64_t left = file->raw_bytes - block * (uint64_t)file->block_bytes;
    return left < (uint64_t)file->block_bytes ? (uint32_t)left : (uint32_t)file->block_bytes;
}

// Inflates the member that is in the buffer. Its whole output is asked for at once, so that zlib keeps no
// window and allocates nothing.
static mm_status inflate_member(mm_bgzf_cursor *cursor, uint64_t block, uint32_t size, mm_error *error) {
    const mm_bgzf *file = cursor->file;
    const unsigned char *trailer = cursor->member + size - TRAILER_BYTES;
    uint32_t expected = raw_size(file, block);
    z_stream *z = &cursor->inflate;
    inflateReset(z);
    z->next_in = cursor->member + HEADER_BYTES;
    z->avail_in = size - HEADER_BYTES - TRAILER_BYTES;
    z->next_out = cursor->raw;
    z->avail_out = expected;
    int answer = inflate(z, Z_FINISH);
    if (answer != Z_STREAM_END || z->avail_in != 0 || z->avail_out != 0) {
        const char *reason = answer == Z_STREAM_END ? "an early end" : z->msg ? z->msg : "no end";
        return damaged(error, file->path, block, file->starts[block],
                       "found %s after %lu of %u compressed and %lu raw bytes, expected %u raw bytes", reason,
                       z->total_in, size - HEADER_BYTES - TRAILER_BYTES, z->total_out, expected);
    }
    uint32_t found = (uint32_t)crc32(0, cursor->raw, expected);
    if (found != get_u32(trailer)) {
        return damaged(error, file->path, block, file->starts[block],
                       "found data with CRC32 %08x, expected %08x", found, get_u32(trailer));
    }
    return MM_OK;
}

static mm_status load_block(mm_bgzf_cursor *cursor, uint64_t block, mm_error *error) {
    const mm_bgzf *file = cursor->file;
    uint64_t at = file->starts[block];
    uint32_t size = (uint32_t)(file->starts[block + 1] - at);
    cursor->block = UINT64_MAX;
    mm_status status = mm_io_read_at(file->fd, cursor->member, size, at, file->path, error);
    if (status != MM_OK) return status;
    // Again what opening saw: the file may have changed since.
    if (memcmp(cursor->member, header_bytes, BSIZE_AT) != 0 ||
        get_u16(cursor->member + BSIZE_AT) + 1 != size ||
        get_u32(cursor->member + size - 4) != raw_size(file, block) ||
        get_u32(cursor->member + size - TRAILER_BYTES) != file->checks[block]) {
        return damaged(error, file->path, block, at,
                       "found another header, size or CRC32 than when the file was opened");
    }
    status = inflate_member(cursor, block, size, error);
    if (status == MM_OK) cursor->block = block;
    return status;
}

mm_status mm_bgzf_read(mm_bgzf_cursor *cursor, uint64_t offset, void *out, size_t size, mm_error *error) {
    const mm_bgzf *file = cursor->file;
    assert(offset <= file->raw_bytes && size <= file->raw_bytes - offset);
    unsigned char *next = out;
    while (size > 0) {
        uint64_t block = offset / (uint64_t)file->block_bytes;
        uint32_t within = (uint32_t)(offset % (uint64_t)file->block_bytes);
        if (block != cursor->block) {
            mm_status status = load_block(cursor, block, error);
            if (status != MM_OK) return status;
        }
        uint32_t here = raw_size(file, block) - within;
        size_t part = size < here ? size : here;
        memcpy(next, cursor->raw + within, part);
        next += part;
        offset += part;
        size -= part;
    }
    return MM_OK;
}
