#include "seal.h"
#include <assert.h>
#include <mm/base/hash.h>
#include <string.h>

enum { DIGITS = MM_HASH_TEXT - 1 };
static const char before[] = "\"seal\": \"", after[] = "\"\n}\n";

// Where the seal's digits are; NULL if the text does not end with a seal.
static char *find_seal(char *text, size_t size) {
    size_t key = sizeof before - 1, tail = sizeof after - 1;
    if (size < key + DIGITS + tail) return NULL;
    char *digits = text + size - tail - DIGITS;
    bool whole = memcmp(digits - key, before, key) == 0 && memcmp(digits + DIGITS, after, tail) == 0;
    return whole ? digits : NULL;
}

void seal_close(mm_json_writer *w) {
    mm_text *out = w->out;
    mm_json_pair_hash(w, "seal", (mm_hash){0});
    mm_json_close(w);
    mm_text_add_string(out, "\n");
    if (out->failed) return;
    char *digits = find_seal(out->data, out->size);
    assert(digits && "the text is not the one root object that the seal closes");
    char text[MM_HASH_TEXT];
    memcpy(digits, mm_hash_print(mm_hash_bytes(out->data, out->size), text), DIGITS);
}

mm_status seal_check(char *text, size_t size, const char *path, mm_error *error) {
    char found[MM_HASH_TEXT] = "", expected[MM_HASH_TEXT];
    char *digits = find_seal(text, size);
    if (!digits)
        return mm_trouble(error,
                          "%s: found no seal at its end, expected the file as it was written; it was cut or "
                          "edited; restore the file from a copy of the run",
                          path);
    memcpy(found, digits, DIGITS);
    memset(digits, '0', DIGITS);
    mm_hash_print(mm_hash_bytes(text, size), expected);
    memcpy(digits, found, DIGITS);
    if (memcmp(found, expected, DIGITS) == 0) return MM_OK;
    return mm_trouble(error,
                      "%s: its seal is %s, its text gives %s; it was edited or damaged after it was written; "
                      "restore the file from a copy of the run",
                      path, found, expected);
}
