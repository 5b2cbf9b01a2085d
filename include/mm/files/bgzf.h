// BGZF: gzip members of at most 64 KiB with the BC extra field and an empty member at the end (RFC 1951, RFC
// 1952, the SAM specification, section 4.1). The only place of zlib. Plain gzip is read too, for input text.
#ifndef MM_FILES_BGZF_H
#define MM_FILES_BGZF_H

#include <mm/base/hash.h>
#include <mm/base/status.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MM_BGZF_BLOCK_MAX = 65280, // most raw bytes of a block
    MM_BGZF_MEMBER_MAX = 65536 // most bytes of a member: BSIZE is 16 bits and holds its size minus 1
};

// A writer appends blocks of exactly `block_bytes` raw bytes (1 to MM_BGZF_BLOCK_MAX, another size asserts;
// the last may be shorter) to a new file. One thread's.
typedef struct mm_bgzf_writer mm_bgzf_writer;
// A file that is there already is trouble. *writer is NULL after trouble. `path` is copied.
MM_CHECKED mm_status mm_bgzf_create(const char *path, int block_bytes, mm_bgzf_writer **writer,
                                    mm_error *error);
// Writes the end member, fsyncs and closes; frees the writer also in trouble, and leaves the file then. *hash
// (may be NULL) is that of the raw stream, *raw_bytes (may be NULL) its length; after trouble they mean
// nothing.
MM_CHECKED mm_status mm_bgzf_finish(mm_bgzf_writer *writer, mm_hash *hash, uint64_t *raw_bytes,
                                    mm_error *error);
// Closes and frees; the file is left for whoever removes the draft. NULL is allowed.
void mm_bgzf_discard(mm_bgzf_writer *writer);

// By several workers: each makes members of blocks with a deflater of its own (one thread's), one appends
// them in order.
typedef struct mm_bgzf_deflater mm_bgzf_deflater;
MM_CHECKED mm_status mm_bgzf_deflater_new(int level, mm_bgzf_deflater **deflater, mm_error *error);
void mm_bgzf_deflater_free(mm_bgzf_deflater *deflater);
// The member of 1 to MM_BGZF_BLOCK_MAX raw bytes; returns its size.
size_t mm_bgzf_deflate(mm_bgzf_deflater *deflater, const void *raw, size_t size,
                       unsigned char member[MM_BGZF_MEMBER_MAX]);
// One block with its member. Every block but the last holds exactly block_bytes.
MM_CHECKED mm_status mm_bgzf_append(mm_bgzf_writer *writer, const void *raw, size_t size, const void *member,
                                    size_t member_size, mm_error *error);

// Random access to a BGZF file whose blocks hold `block_bytes` each. Opening reads every member's header
// (compared whole) and trailer and builds an index of 12 bytes a block; nothing is trusted: a block's length
// is checked against the file and MM_BGZF_BLOCK_MAX, every block but the last must hold block_bytes, the end
// member must be there and last. Messages name file, block, byte offset, found, expected. Immutable once
// open, for any number of threads; it must outlive its cursors. *file is NULL after trouble.
typedef struct mm_bgzf mm_bgzf;
MM_CHECKED mm_status mm_bgzf_open(const char *path, int block_bytes, mm_bgzf **file, mm_error *error);
void mm_bgzf_close(mm_bgzf *file);
uint64_t mm_bgzf_raw_bytes(const mm_bgzf *file);
const char *mm_bgzf_path(const mm_bgzf *file);

// A reader's own buffers: one for each thread, over a file that any number of threads share. *cursor is NULL
// after trouble.
typedef struct mm_bgzf_cursor mm_bgzf_cursor;
MM_CHECKED mm_status mm_bgzf_cursor_new(const mm_bgzf *file, mm_bgzf_cursor **cursor, mm_error *error);
void mm_bgzf_cursor_free(mm_bgzf_cursor *cursor);
// Raw bytes [offset, offset + size) into `out`. The last block is kept, so reading on is cheap. Checks CRC
// and size of each member that it inflates; after trouble a part of `out` may be filled. A range beyond the
// end asserts. Allocates nothing.
MM_CHECKED mm_status mm_bgzf_read(mm_bgzf_cursor *cursor, uint64_t offset, void *out, size_t size,
                                  mm_error *error);

// A gzip stream of any members, or a plain file if it does not begin with gzip's magic; "-" is standard
// input. One thread's.
typedef struct mm_gzin mm_gzin;
// *in is NULL after trouble. `path` is copied.
MM_CHECKED mm_status mm_gzin_open(const char *path, mm_gzin **in, mm_error *error);
// At most `size` bytes (of which at most INT32_MAX come at a time); *got 0 at the end. A damaged or cut
// member is trouble.
MM_CHECKED mm_status mm_gzin_read(mm_gzin *in, void *out, size_t size, size_t *got, mm_error *error);
// Closes and frees, but standard input stays open. NULL is allowed.
void mm_gzin_close(mm_gzin *in);
// As mm_gzin_open, but waiting for a pipe or a terminal ends with MM_INTERRUPTED soon after *stop has become
// true. `stop` must live as long as the stream; NULL: never.
MM_CHECKED mm_status mm_gzin_open_until(const char *path, const volatile sig_atomic_t *stop, mm_gzin **in,
                                        mm_error *error);
// Is it no gzip, and its bytes handed out as they are?
bool mm_gzin_plain(const mm_gzin *in);
// Bytes of the file taken in so far, compressed where it is.
uint64_t mm_gzin_position(const mm_gzin *in);
// Trouble if a regular file has another size or time of change than when it was opened; of what is no regular
// file nothing is known, which is MM_OK.
MM_CHECKED mm_status mm_gzin_unchanged(const mm_gzin *in, mm_error *error);

// One gzip member of `size` bytes (a whole record group of a trace), appended to *out, which is realloc'ed
// (NULL with *out_size 0 is empty) and grows by it; free() it, also after trouble, which leaves *out_size.
MM_CHECKED mm_status mm_gzip_member(const void *data, size_t size, int level, unsigned char **out,
                                    size_t *out_size, mm_error *error);

#endif
