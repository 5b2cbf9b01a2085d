#include "normalize.h"

#include <assert.h>
#include <mm/base/utf8.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

typedef struct point_range {
    uint32_t first, last;
} point_range;

// Characters that NFC leaves as they are and that compose with nothing before them, so that a text may be
// normalized in parts that begin with them. Not all that there are, but those that most texts are made of.
static const point_range plain[] = {
    {0x0000, 0x02ff},                                                         // Latin
    {0x0391, 0x03a1}, {0x03a3, 0x03ce}, {0x0400, 0x0482},   {0x048a, 0x052f}, // Greek, Cyrillic
    {0x05d0, 0x05ea}, {0x0621, 0x064a},                                       // Hebrew, Arabic
    {0x11a7, 0x11a7}, // not a final jamo, as which utf8proc 2.8 takes it
    {0x2010, 0x2027}, {0x2030, 0x205e}, {0x2190, 0x21ff},   {0x2500, 0x27ff}, // punctuation, arrows, boxes
    {0x3000, 0x3029}, {0x3041, 0x3096}, {0x30a1, 0x30fa},   {0x4e00, 0x9fff}, // kana, Han
    {0xac00, 0xd7a3}, {0xff01, 0xff60}, {0x1f300, 0x1faff},                   // Hangul, wide forms, emoji
};

// Marks and pairs that Unicode added after version 9, up to 15. Hugging Face's library normalizes by the
// tables of 9 (unicode-normalization-alignments 0.1.12): to it these are characters that nothing is known of,
// and a model has learned what it does. So they are left where they stand, whatever version of utf8proc is
// there.
static const point_range late[] = {
    {0x007fd, 0x007fd}, {0x00898, 0x0089f}, {0x008ca, 0x008d3}, {0x009fe, 0x009fe}, {0x00c3c, 0x00c3c},
    {0x00d3b, 0x00d3c}, {0x00eba, 0x00eba}, {0x01715, 0x01715}, {0x01abf, 0x01ace}, {0x01df6, 0x01dfa},
    {0x0a82c, 0x0a82c}, {0x10d24, 0x10d27}, {0x10eab, 0x10eac}, {0x10efd, 0x10eff}, {0x10f46, 0x10f50},
    {0x10f82, 0x10f85}, {0x11070, 0x11070}, {0x1133b, 0x1133b}, {0x1145e, 0x1145e}, {0x11839, 0x1183a},
    {0x11930, 0x11930}, {0x11935, 0x11935}, {0x11938, 0x11938}, {0x1193d, 0x1193e}, {0x11943, 0x11943},
    {0x119e0, 0x119e0}, {0x11a34, 0x11a34}, {0x11a47, 0x11a47}, {0x11a99, 0x11a99}, {0x11d42, 0x11d42},
    {0x11d44, 0x11d45}, {0x11d97, 0x11d97}, {0x11f41, 0x11f42}, {0x16ff0, 0x16ff1}, {0x1e08f, 0x1e08f},
    {0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae}, {0x1e2ec, 0x1e2ef}, {0x1e4ec, 0x1e4ef},
};

static bool in_ranges(uint32_t point, const point_range *ranges, size_t count) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges[middle].last < point)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && ranges[low].first <= point;
}

static bool is_late(uint32_t point) {
    return point >= late[0].first && in_ranges(point, late, sizeof late / sizeof *late);
}

static bool stands_alone(uint32_t point) {
    if (point < 0x300) return true;
    return in_ranges(point, plain, sizeof plain / sizeof *plain) || is_late(point);
}

void mm_nfc_free(mm_nfc *nfc) {
    mm_text_free(&nfc->text);
    free(nfc->points);
    *nfc = (mm_nfc){0};
}

static int combining_class(int32_t point) {
    if (is_late((uint32_t)point)) return 0;
    return utf8proc_get_property(point)->combining_class;
}

// Stable, by combining class; `spare` has room for as many.
static void sort_marks(int32_t *marks, size_t count, int32_t *spare) {
    enum { CLASSES = 256 };
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++)
        sorted = combining_class(marks[i - 1]) <= combining_class(marks[i]);
    if (sorted) return;
    size_t starts[CLASSES + 1] = {0};
    for (size_t i = 0; i < count; i++) starts[combining_class(marks[i]) + 1]++;
    for (int c = 0; c < CLASSES; c++) starts[c + 1] += starts[c];
    for (size_t i = 0; i < count; i++) spare[starts[combining_class(marks[i])]++] = marks[i];
    memcpy(marks, spare, count * sizeof *marks);
}

static void order(int32_t *points, size_t count, int32_t *spare) {
    for (size_t i = 0; i < count;) {
        size_t end = i;
        while (end < count && combining_class(points[end])) end++;
        if (end > i + 1) sort_marks(points + i, end - i, spare);
        i = end + 1;
    }
}

// Appends the NFC of a part of a text. utf8proc's own sorting of marks takes the square of their number, so
// marks are sorted here.
static mm_status normalize_part(mm_nfc *nfc, const char *text, size_t size, mm_error *error) {
    enum { MOST_OF_ONE = 4 }; // characters of a canonical decomposition
    size_t room = MOST_OF_ONE * size;
    if (2 * room > nfc->room) {
        int32_t *points = realloc(nfc->points, 2 * room * sizeof *points);
        if (!points) return mm_trouble(error, "normalizing %zu bytes of text: out of memory", size);
        nfc->points = points;
        nfc->room = 2 * room;
    }
    size_t count = 0;
    for (size_t i = 0; i < size; i += mm_utf8_width((unsigned char)text[i])) {
        int boundary = 0;
        utf8proc_ssize_t made =
            utf8proc_decompose_char((int32_t)mm_utf8_point(text + i), nfc->points + count, MOST_OF_ONE,
                                    UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &boundary);
        assert(made >= 0 && made <= MOST_OF_ONE);
        count += (size_t)made;
    }
    order(nfc->points, count, nfc->points + room);
    utf8proc_ssize_t left =
        utf8proc_normalize_utf32(nfc->points, (utf8proc_ssize_t)count, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    assert(left >= 0);
    for (utf8proc_ssize_t i = 0; i < left; i++) {
        unsigned char bytes[4];
        mm_text_add(&nfc->text, bytes, (size_t)utf8proc_encode_char(nfc->points[i], bytes));
    }
    return MM_OK;
}

mm_status mm_nfc_text(mm_nfc *nfc, const char *text, size_t size, const char **out, size_t *out_size,
                      mm_error *error) {
    size_t done = 0, last = 0; // what was given out, and where the last character began
    mm_text_clear(&nfc->text);
    for (size_t at = 0; at < size;) {
        if ((unsigned char)text[at] < 0x80 || stands_alone(mm_utf8_point(text + at))) {
            last = at;
            at += mm_utf8_width((unsigned char)text[at]);
            continue;
        }
        // A part: the character before, and all up to the next that stands alone.
        size_t end = at;
        while (end < size && !stands_alone(mm_utf8_point(text + end)))
            end += mm_utf8_width((unsigned char)text[end]);
        mm_text_add(&nfc->text, text + done, last - done);
        mm_status status = normalize_part(nfc, text + last, end - last, error);
        if (status) return status;
        done = last = at = end;
    }
    *out = text;
    *out_size = size;
    if (!done) return MM_OK;
    mm_text_add(&nfc->text, text + done, size - done);
    if (nfc->text.failed) return mm_trouble(error, "normalizing %zu bytes of text: out of memory", size);
    *out = nfc->text.data;
    *out_size = nfc->text.size;
    return MM_OK;
}

const char *mm_nfc_unicode_version(void) {
    return utf8proc_unicode_version();
}
