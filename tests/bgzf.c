// BGZF and gzip: what was written comes back whatever the sizes, gzip reads it, and no damage passes.
#include <mm/files/bgzf.h>
#include <mm/files/publish.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

static char root[PATH_MAX], path[PATH_MAX];
static uint64_t draws = 20240607; // state of `draw`

static uint32_t draw(void) {
    draws = draws * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(draws >> 33);
}

static int set_up(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/mm-bgzf-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(root)) return -1;
    return mm_path_join(path, sizeof path, root, "file.gz", NULL) == MM_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    return mm_remove_folder(root, NULL) == MM_OK ? 0 : -1;
}

static void good(mm_status status, const mm_error *error) {
    if (status != MM_OK) fail_msg("%s", error->text);
}

enum { ZEROS, TEXT, NOISE, KINDS };

static void make_data(unsigned char *data, size_t size, int kind) {
    static const char words[] = "the quick brown fox jumps over the lazy dog; ";
    for (size_t i = 0; i < size; i++) {
        data[i] = kind == ZEROS  ? 0
                  : kind == TEXT ? (unsigned char)words[(i + i / 97) % (sizeof words - 1)]
                                 : (unsigned char)draw();
    }
}

static void write_file(const unsigned char *data, size_t size, int block_bytes, int level) {
    mm_hash hash;
    unlink(path);
    fixture_bgzf(path, block_bytes, level, data, size, &hash);
    assert_true(mm_hash_equal(hash, mm_hash_bytes(data, size)));
}

// Opens the file and reads all of it, whatever it takes; MM_OK with *same telling whether it is `data`.
static mm_status read_all(const unsigned char *data, size_t size, int block_bytes, bool *same,
                          mm_error *error) {
    mm_bgzf *file;
    mm_bgzf_cursor *cursor;
    mm_status status = mm_bgzf_open(path, block_bytes, &file, error);
    if (status != MM_OK) return status;
    uint64_t found = mm_bgzf_raw_bytes(file);
    unsigned char *out = malloc(found + 1);
    assert_non_null(out);
    status = mm_bgzf_cursor_new(file, &cursor, error);
    if (status == MM_OK) {
        status = mm_bgzf_read(cursor, 0, out, found, error);
        mm_bgzf_cursor_free(cursor);
    }
    *same = status == MM_OK && found == size && memcmp(out, data, size) == 0;
    free(out);
    mm_bgzf_close(file);
    return status;
}

static void comes_back_at_any_level_and_size(void **state) {
    (void)state;
    static const int blocks[] = {64000, MM_BGZF_BLOCK_MAX, 1000};
    static const int levels[] = {0, 1, 6, 9};
    static unsigned char data[3 * MM_BGZF_BLOCK_MAX];
    printf("seed %llu\n", (unsigned long long)draws);
    for (int b = 0; b < 3; b++) {
        int block = blocks[b];
        const size_t sizes[] = {
            0, 1, (size_t)block - 1, (size_t)block, (size_t)block + 1, 2 * (size_t)block + 77};
        for (int kind = 0; kind < KINDS; kind++) {
            for (size_t i = 0; i < 4 * sizeof sizes / sizeof *sizes; i++) {
                mm_error error;
                bool same;
                make_data(data, sizes[i / 4], kind);
                write_file(data, sizes[i / 4], block, levels[i % 4]);
                good(read_all(data, sizes[i / 4], block, &same, &error), &error);
                assert_true(same);
            }
        }
    }
}

static void zcat_reads_it(void **state) {
    (void)state;
    if (system("command -v zcat >/dev/null 2>&1") != 0) skip();
    static unsigned char data[150000], out[150001];
    for (int kind = 0; kind < KINDS; kind++) {
        char command[PATH_MAX + 20];
        make_data(data, sizeof data, kind);
        write_file(data, sizeof data, 64000, 6);
        snprintf(command, sizeof command, "zcat '%s'", path);
        FILE *pipe = popen(command, "r");
        assert_non_null(pipe);
        assert_int_equal(fread(out, 1, sizeof out, pipe), sizeof data);
        assert_int_equal(pclose(pipe), 0);
        assert_memory_equal(out, data, sizeof data);
    }
}

typedef struct reading {
    const mm_bgzf *file;
    const unsigned char *data;
    size_t size;
    uint64_t seed;
    int wrong;
} reading;

// Ranges at random, among them empty ones and such that cross blocks.
static void *read_at_random(void *given) {
    reading *job = given;
    unsigned char out[3000];
    mm_error error;
    mm_bgzf_cursor *cursor;
    job->wrong = 1;
    if (mm_bgzf_cursor_new(job->file, &cursor, &error) != MM_OK) return NULL;
    job->wrong = 0;
    for (int i = 0; i < 500; i++) {
        job->seed = job->seed * 6364136223846793005u + 1442695040888963407u;
        size_t at = (job->seed >> 33) % (job->size + 1), size = (job->seed >> 20) % sizeof out;
        if (size > job->size - at) size = job->size - at;
        mm_status status = mm_bgzf_read(cursor, at, out, size, &error);
        if (status != MM_OK || memcmp(out, job->data + at, size) != 0) job->wrong++;
    }
    mm_bgzf_cursor_free(cursor);
    return NULL;
}

static void threads_share_a_file(void **state) {
    (void)state;
    static unsigned char data[40000];
    mm_error error;
    mm_bgzf *file;
    pthread_t threads[4];
    reading jobs[4];
    make_data(data, sizeof data, TEXT);
    write_file(data, sizeof data, 1000, 6);
    good(mm_bgzf_open(path, 1000, &file, &error), &error);
    assert_string_equal(mm_bgzf_path(file), path);
    for (int i = 0; i < 4; i++) {
        jobs[i] = (reading){file, data, sizeof data, (uint64_t)i + 1, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, read_at_random, &jobs[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(jobs[i].wrong, 0);
    }
    mm_bgzf_close(file);
}

// By glibc's own count, which sanitizers replace by one that stays at 0.
static void reading_allocates_nothing(void **state) {
    (void)state;
    static unsigned char data[200000], out[200000];
    mm_error error;
    mm_bgzf *file;
    mm_bgzf_cursor *cursor;
    make_data(data, sizeof data, TEXT);
    write_file(data, sizeof data, 64000, 6);
    good(mm_bgzf_open(path, 64000, &file, &error), &error);
    good(mm_bgzf_cursor_new(file, &cursor, &error), &error);
    struct mallinfo2 before = mallinfo2();
    good(mm_bgzf_read(cursor, 0, out, sizeof out, &error), &error);
    struct mallinfo2 after = mallinfo2();
    assert_int_equal(before.uordblks + before.hblkhd, after.uordblks + after.hblkhd);
    assert_memory_equal(data, out, sizeof data);
    mm_bgzf_cursor_free(cursor);
    mm_bgzf_close(file);
}

static unsigned char *slurp(size_t *size) {
    char *bytes;
    mm_error error;
    good(mm_read_file(path, 1 << 24, &bytes, size, &error), &error);
    return (unsigned char *)bytes;
}

// Refused in one line that names the file, or the same raw bytes.
static void refused_or_same(const unsigned char *data, size_t size, int block_bytes, int *refused) {
    mm_error error;
    bool same = false;
    mm_status status = read_all(data, size, block_bytes, &same, &error);
    if (status == MM_OK) {
        assert_true(same);
        return;
    }
    assert_int_equal(status, MM_TROUBLE);
    assert_non_null(strstr(error.text, path));
    assert_null(strchr(error.text, '\n'));
    ++*refused;
}

// Every change of one byte, every cut, and every byte put at the end.
static void damage_is_refused(const unsigned char *data, size_t size, int block_bytes, int level) {
    size_t total;
    int refused = 0;
    write_file(data, size, block_bytes, level);
    unsigned char *bytes = slurp(&total);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    for (size_t at = 0; at < total; at++) {
        for (int change = 1; change < 256; change++) {
            unsigned char wrong = bytes[at] ^ (unsigned char)change;
            assert_int_equal(pwrite(fd, &wrong, 1, (off_t)at), 1);
            refused_or_same(data, size, block_bytes, &refused);
        }
        assert_int_equal(pwrite(fd, &bytes[at], 1, (off_t)at), 1);
    }
    // Only unused bits of a block's last deflate byte, or of what precedes a stored block's length, may
    // change unseen.
    assert_true(refused > (int)(255 * total) - 3 * 255 * (int)(size / (size_t)block_bytes + 1));
    refused = 0;
    for (int value = 0; value < 256; value++) {
        unsigned char more = (unsigned char)value;
        assert_int_equal(pwrite(fd, &more, 1, (off_t)total), 1);
        refused_or_same(data, size, block_bytes, &refused);
    }
    assert_int_equal(refused, 256);
    refused = 0;
    for (size_t cut = total; cut-- > 0;) {
        assert_int_equal(ftruncate(fd, (off_t)cut), 0);
        refused_or_same(data, size, block_bytes, &refused);
    }
    assert_int_equal(refused, total);
    close(fd);
    free(bytes);
}

static void no_damage_passes(void **state) {
    (void)state;
    unsigned char data[300];
    make_data(data, sizeof data, NOISE);
    damage_is_refused(data, 25, 12, 0); // stored
    damage_is_refused(data, 0, 12, 6);
    make_data(data, sizeof data, TEXT);
    damage_is_refused(data, 90, 50, 9); // fixed Huffman codes
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)("etaoin"[draw() % 6 * (draw() % 3) / 2]);
    damage_is_refused(data, 300, 300, 9); // dynamic Huffman codes
}

static void put(const unsigned char *bytes, size_t size) {
    mm_error error;
    good(mm_publish_file(path, bytes, size, &error), &error);
}

// Headers and the end member as the SAM specification (4.1, 4.1.2) has them, in its numbers.
static void members_are_as_specified(void **state) {
    (void)state;
    static const unsigned char header[] = {31, 139, 8, 4, 0, 0, 0, 0, 0, 255, 6, 0, 66, 67, 2, 0},
                               end[] = {0x1f, 0x8b, 0x08, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff,
                                        0x06, 0x00, 0x42, 0x43, 0x02, 0x00, 0x1b, 0x00, 0x03, 0x00,
                                        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
    unsigned char data[100];
    size_t total;
    make_data(data, sizeof data, TEXT);
    write_file(data, 100, 50, 6);
    unsigned char *bytes = slurp(&total);
    for (size_t at = 0, blocks = 0; at < total - sizeof end; blocks++) {
        assert_true(blocks < 2);
        assert_memory_equal(bytes + at, header, sizeof header);
        at += (size_t)bytes[at + 16] + 256u * bytes[at + 17] + 1; // BSIZE: the member's size less 1
        assert_int_equal(bytes[at - 4], 50);                      // ISIZE
        assert_true(at <= total - sizeof end);
    }
    assert_memory_equal(bytes + total - sizeof end, end, sizeof end);
    free(bytes);
}

// Whole members in places where none may stand: gzip reads all of these.
static void layout_is_checked(void **state) {
    (void)state;
    unsigned char data[100], mixed[1000];
    size_t total, other;
    bool same;
    mm_error error;
    make_data(data, sizeof data, TEXT);
    write_file(data, 100, 40, 6);
    unsigned char *bytes = slurp(&total);
    size_t first = (size_t)bytes[16] + 1;

    memcpy(mixed, bytes, total - 28); // no end member
    put(mixed, total - 28);
    assert_int_equal(read_all(data, 100, 40, &same, &error), MM_TROUBLE);
    memcpy(mixed, bytes, total); // another file behind the end member
    memcpy(mixed + total, bytes, total);
    put(mixed, 2 * total);
    assert_int_equal(read_all(data, 100, 40, &same, &error), MM_TROUBLE);
    memcpy(mixed, bytes, total - 28); // a short block that is not the last
    memcpy(mixed + total - 28, bytes, total);
    put(mixed, 2 * total - 28);
    assert_int_equal(read_all(data, 100, 40, &same, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "block 2"));
    assert_non_null(strstr(error.text, "found 20 raw bytes, expected 40"));
    put(bytes, total); // blocks of another size than asked for
    assert_int_equal(read_all(data, 100, 41, &same, &error), MM_TROUBLE);
    assert_int_equal(read_all(data, 100, 39, &same, &error), MM_TROUBLE);
    memcpy(mixed, bytes, first); // an end member in the middle
    memcpy(mixed + first, bytes + total - 28, 28);
    memcpy(mixed + first + 28, bytes + first, total - first);
    put(mixed, total + 28);
    assert_int_equal(read_all(data, 100, 40, &same, &error), MM_TROUBLE);
    free(bytes);

    write_file(data, 100, 50, 6); // a wrong CRC, which only reading finds
    bytes = slurp(&other);
    bytes[other - 28 - 8] ^= 1;
    put(bytes, other);
    assert_int_equal(read_all(data, 100, 50, &same, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "block 1 at byte"));
    assert_non_null(strstr(error.text, "CRC32"));
    free(bytes);
}

// Changes that leave the raw bytes and every size right, each at its place of a file of two stored blocks.
static void members_are_compared_whole(void **state) {
    (void)state;
    unsigned char data[100], longer[1000];
    size_t total;
    bool same;
    mm_error error;
    mm_bgzf *file;
    make_data(data, sizeof data, NOISE);
    write_file(data, 100, 50, 0);
    unsigned char *bytes = slurp(&total);
    size_t first = (size_t)bytes[16] + 1;
    assert_int_equal(first, 18 + 5 + 50 + 8);

    bytes[first + 4] ^= 1; // the time of block 1: opening sees it
    put(bytes, total);
    assert_int_equal(mm_bgzf_open(path, 50, &file, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "block 1 at byte 81: found 0x01 at byte 85, expected 0x00"));
    bytes[first + 4] ^= 1;

    bytes[18] ^= 1; // the deflate stream of block 0 does not end
    put(bytes, total);
    assert_int_equal(read_all(data, 100, 50, &same, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "block 0"));
    bytes[18] ^= 1;

    memcpy(longer, bytes, first - 8); // a byte between the deflate stream and the CRC
    longer[16]++;
    longer[first - 8] = 0;
    memcpy(longer + first - 7, bytes + first - 8, total - first + 8);
    put(longer, total + 1);
    assert_int_equal(read_all(data, 100, 50, &same, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, "55 of 56 compressed"));
    free(bytes);
}

static void failed_write_is_told(void **state) {
    (void)state;
    enum { BLOCK = 64000 };
    static unsigned char data[BLOCK];
    mm_error error;
    mm_bgzf_writer *writer;
    make_data(data, sizeof data, NOISE);
    struct rlimit old, small;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 1000;
    good(mm_bgzf_create(path, BLOCK, &writer, &error), &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    mm_status status = mm_bgzf_append(writer, data, BLOCK, data, BLOCK, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(status, MM_TROUBLE);
    assert_non_null(strstr(error.text, path));
    assert_non_null(strstr(error.text, strerror(EFBIG)));
    // There is room again, but the file has a hole: it must not be finished.
    assert_int_equal(mm_bgzf_append(writer, data, 1, data, 1, &error), MM_TROUBLE);
    assert_int_equal(mm_bgzf_finish(writer, NULL, NULL, &error), MM_TROUBLE);
    assert_int_equal(mm_bgzf_create(path, BLOCK, &writer, &error), MM_TROUBLE); // never over a file
    assert_non_null(strstr(error.text, strerror(EEXIST)));
}

// All that mm_gzin gives, in reads of at most `piece` bytes.
static mm_status gunzip(const char *name, size_t piece, unsigned char *out, size_t room, size_t *size,
                        mm_error *error) {
    mm_gzin *in;
    size_t got = 0;
    *size = 0;
    mm_status status = mm_gzin_open(name, &in, error);
    if (status != MM_OK) return status;
    do {
        assert_true(room - *size >= piece);
        status = mm_gzin_read(in, out + *size, piece, &got, error);
        *size += got;
    } while (status == MM_OK && got > 0);
    mm_gzin_close(in);
    return status;
}

enum { ROOM = 800000 };

// Members of several sizes, one after another, 300,110 raw bytes.
static unsigned char *make_members(const unsigned char *data, size_t *total) {
    static const size_t sizes[] = {300000, 0, 10, 100};
    unsigned char *bytes = NULL;
    size_t at = 0;
    mm_error error;
    *total = 0;
    for (int i = 0; i < 4; i++) {
        good(mm_gzip_member(data + at, sizes[i], 6, &bytes, total, &error), &error);
        at += sizes[i];
    }
    assert_int_equal(at, 300110);
    return bytes;
}

static void gzip_members_are_joined(void **state) {
    (void)state;
    static unsigned char data[300110], out[ROOM];
    for (int kind = 0; kind < KINDS; kind++) {
        size_t total, size;
        mm_error error;
        make_data(data, sizeof data, kind);
        unsigned char *bytes = make_members(data, &total);
        put(bytes, total);
        for (int i = 0; i < 4; i++) {
            size_t pieces[] = {1, 777, 65536, 400000};
            if (pieces[i] == 1 && kind != TEXT) continue;
            good(gunzip(path, pieces[i], out, sizeof out, &size, &error), &error);
            assert_int_equal(size, sizeof data);
            assert_memory_equal(out, data, size);
        }
        free(bytes);
    }
}

static void plain_files_pass(void **state) {
    (void)state;
    static unsigned char data[200000], out[ROOM];
    static const size_t sizes[] = {0, 1, 2, 65536, 65537, 200000};
    size_t size;
    mm_error error;
    make_data(data, sizeof data, TEXT);
    for (int i = 0; i < 6; i++) {
        put(data, sizes[i]);
        good(gunzip(path, 1000, out, sizeof out, &size, &error), &error);
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(out, data, size);
    }
    put((const unsigned char *)"\x1f", 1); // half the magic is not gzip
    good(gunzip(path, 1000, out, sizeof out, &size, &error), &error);
    assert_int_equal(size, 1);
    assert_int_equal(gunzip(root, 1000, out, sizeof out, &size, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, root));
    char none[PATH_MAX];
    assert_int_equal(mm_path_join(none, sizeof none, root, "none", NULL), MM_OK);
    assert_int_equal(gunzip(none, 1000, out, sizeof out, &size, &error), MM_TROUBLE);
    assert_non_null(strstr(error.text, none));
}

static void standard_input_is_read(void **state) {
    (void)state;
    static unsigned char data[300110], out[ROOM];
    size_t total, size;
    mm_error error;
    int ends[2];
    make_data(data, sizeof data, NOISE);
    unsigned char *bytes = make_members(data, &total);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { // first byte by byte, so that the magic comes in two reads
        for (size_t at = 0, part = 1; at < total; at += part) {
            part = at < 3 ? 1 : total - at < 5000 ? total - at : 5000;
            if (write(ends[1], bytes + at, part) != (ssize_t)part) _exit(1);
            if (at < 3) usleep(2000);
        }
        _exit(0);
    }
    close(ends[1]);
    int kept = dup(STDIN_FILENO);
    dup2(ends[0], STDIN_FILENO);
    mm_status status = gunzip("-", 4096, out, sizeof out, &size, &error);
    if (kept >= 0) dup2(kept, STDIN_FILENO);
    close(kept);
    close(ends[0]);
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    good(status, &error);
    assert_int_equal(size, sizeof data);
    assert_memory_equal(out, data, size);
    free(bytes);
}

// Two members: every cut and every change of a bit is refused or gives the same bytes. The magic itself is
// left alone: a file without it is plain.
static void damaged_gzip_is_refused(void **state) {
    (void)state;
    unsigned char data[120], out[4000], *bytes = NULL;
    size_t total = 0, first, size;
    mm_error error;
    make_data(data, sizeof data, TEXT);
    good(mm_gzip_member(data, 70, 6, &bytes, &total, &error), &error);
    first = total;
    good(mm_gzip_member(data + 70, 50, 6, &bytes, &total, &error), &error);
    for (size_t cut = 2; cut <= total; cut++) {
        put(bytes, cut);
        mm_status status = gunzip(path, 33, out, sizeof out, &size, &error);
        bool whole = cut == first || cut == total;
        assert_int_equal(status, whole ? MM_OK : MM_TROUBLE);
        if (whole) assert_int_equal(size, cut == first ? 70 : 120);
        if (!whole) assert_non_null(strstr(error.text, path));
    }
    int fd = open(path, O_RDWR), refused = 0;
    assert_true(fd >= 0);
    for (size_t i = 16; i < 8 * total; i++) {
        unsigned char wrong = bytes[i / 8] ^ (unsigned char)(1 << i % 8);
        assert_int_equal(pwrite(fd, &wrong, 1, (off_t)(i / 8)), 1);
        if (gunzip(path, 33, out, sizeof out, &size, &error) == MM_OK) {
            assert_int_equal(size, 120);
            assert_memory_equal(out, data, 120);
        } else {
            refused++;
        }
        assert_int_equal(pwrite(fd, &bytes[i / 8], 1, (off_t)(i / 8)), 1);
    }
    assert_true(refused >
                8 * ((int)total - 2 - 2 * 8)); // time, extra flags, system and a few bits do not matter
    close(fd);
    free(bytes);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(comes_back_at_any_level_and_size),
        EACH(zcat_reads_it),
        EACH(threads_share_a_file),
        EACH(reading_allocates_nothing),
        EACH(no_damage_passes),
        EACH(members_are_as_specified),
        EACH(layout_is_checked),
        EACH(members_are_compared_whole),
        EACH(failed_write_is_told),
        EACH(gzip_members_are_joined),
        EACH(plain_files_pass),
        EACH(standard_input_is_read),
        EACH(damaged_gzip_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
