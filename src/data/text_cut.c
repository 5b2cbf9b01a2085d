// Two kinds of places are taken, both at a line's end, with patterns that look back at nothing, so that what
// follows a word's end does not depend on what stood before it:
//
// 1. behind a \n that stands alone, blanks neither before nor behind it. The word before ends at the \n or
//    takes it in as its last (Qwen's and Llama's " ?[^\s\p{L}\p{N}]+[\r\n]*"); else the \n is a word, of
//    "\s+" in GPT-2's pattern, of "\s*[\r\n]+" in the others. Each does the same where the text ends behind
//    the \n.
// 2. between an ASCII letter or digit and \r\n. The word before ends with the letter in all of them, and no
//    alternative looks further than the \r from there.
//
// \r and \n compose with nothing and nothing is reordered across them, so NFC of the pieces is NFC of the
// whole.
#include "text_cut.h"

#include <mm/base/utf8.h>
#include <string.h>

static bool well_formed_and_no_blank(const char *text, size_t size, size_t at, size_t width) {
    if (width > size - at || mm_utf8_valid(text + at, width) != width) return false;
    return !mm_unicode_space(mm_utf8_point(text + at));
}

static bool no_blank_at(const char *text, size_t size, size_t at) {
    return well_formed_and_no_blank(text, size, at, mm_utf8_width((unsigned char)text[at]));
}

static bool no_blank_before(const char *text, size_t at) {
    size_t width = mm_utf8_width_before(text, at); // at most 4, also of text that is not well-formed
    return well_formed_and_no_blank(text, at, at - width, width);
}

static bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

size_t mm_text_cut(const char *text, size_t size, size_t from) {
    // The \n stands before a place of the first kind, behind one of the second.
    for (size_t at = from - 1; at < size; at++) {
        const char *found = memchr(text + at, '\n', size - at);
        if (!found) return 0;
        at = (size_t)(found - text);
        if (at >= 2 && at - 1 >= from && text[at - 1] == '\r' && is_alphanumeric(text[at - 2])) return at - 1;
        if (at >= 1 && at + 1 < size && no_blank_before(text, at) && no_blank_at(text, size, at + 1))
            return at + 1;
    }
    return 0;
}
