// Refused is whatever is not known to mean the same in both: a pattern that is read otherwise gives other ids
// without anybody noticing.
#include "pretokenize_translate.h"

#include <mm/base/utf8.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct translation {
    const char *text, *end, *at;
    const char *name; // whose pattern it is, for messages
    mm_text *out;
    mm_error *error;
    size_t depth;  // of groups
    size_t folded; // the depth of the group (?i: that this is in; WHOLE with (?i) in front, 0 in none
    char letter;   // in there, the lower-case letter that was written last, if nothing else came since
} translation;

enum { WHOLE = SIZE_MAX };

static mm_status refuse(const translation *t, const char *from, size_t size, const char *why) {
    size_t left = (size_t)(t->end - from);
    if (size > left) size = left;
    return mm_trouble(t->error, "%s: the pattern has \"%.*s\" at byte %td: %s", t->name, (int)size, from,
                      from - t->text, why);
}

static void copy(translation *t, size_t size) {
    mm_text_add(t->out, t->at, size);
    t->at += size;
}

static bool starts(const translation *t, const char *what) {
    size_t size = strlen(what);
    return (size_t)(t->end - t->at) >= size && !memcmp(t->at, what, size);
}

static bool is_one_of(const char *word, size_t size, const char *const *list) {
    for (; *list; list++)
        if (strlen(*list) == size && !memcmp(*list, word, size)) return true;
    return false;
}

// Where case does not count, Oniguruma takes some characters for two letters (\u00df for ss), and PCRE2 none.
// All of them are beyond ASCII, and stand for two letters that are written side by side: \x{fb01} and fi.
// `size` bytes of the pattern are the character `point`.
static mm_status folded_character(translation *t, uint32_t point, size_t size) {
    static const char *const pairs[] = {"ss", "st", "ff", "fi", "fl", NULL};
    if (!t->folded) return MM_OK;
    if (point >= 0x80)
        return refuse(t, t->at, size, "a character beyond ASCII is not supported where case does not count");
    char lower = (char)(point >= 'A' && point <= 'Z' ? point + ('a' - 'A') : point),
         two[2] = {t->letter, lower};
    if (is_one_of(two, 2, pairs))
        return refuse(t, t->at, size, "ss, st, ff, fi and fl are not supported where case does not count");
    t->letter = lower;
    return MM_OK;
}

// Where case does not count, a class of Oniguruma's takes in what its members fold to, and PCRE2's does not.
// These hold what they fold to, but for U+0345, which folds to a letter.
static mm_status folded_property(translation *t, const char *word, size_t size, bool negated, bool in_class) {
    static const char *const closed[] = {"L",  "Lm", "Lo", "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd",
                                         "Ps", "Pe", "Pi", "Pf", "Po", "S",  "Sm", "Sc", "Sk", "So",
                                         "Z",  "Zs", "Zl", "Zp", "C",  "Cc", "Cf", "Cn", NULL};
    static const char *const cased[] = {"Lu", "Ll", "Lt", NULL};
    if (!t->folded) return MM_OK;
    t->letter = 0;
    if (in_class ? negated || !is_one_of(word, size, closed) : is_one_of(word, size, cased))
        return refuse(t, t->at, (size_t)(word - t->at) + size + 1,
                      in_class ? "this property is not supported in a class where case does not count"
                               : "this property is not supported where case does not count");
    // With a property before it and one behind it a hyphen beside them makes no range of it.
    if (in_class && size == 1 && *word == 'L') mm_text_add_string(t->out, "\\p{L}\\x{345}");
    return MM_OK;
}

// \p{...}, \P{...}: general categories as they are; scripts as scripts, since a bare name is PCRE2's script
// extensions.
static mm_status property(translation *t, bool in_class) {
    static const char *const categories[] = {"L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc",
                                             "Me", "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd", "Ps",
                                             "Pe", "Pi", "Pf", "Po", "S",  "Sm", "Sc", "Sk", "So",
                                             "Z",  "Zs", "Zl", "Zp", "C",  "Cc", "Cf", "Cn", NULL};
    static const char *const scripts[] = {"Arabic",   "Armenian", "Bengali", "Cyrillic",  "Devanagari",
                                          "Ethiopic", "Georgian", "Greek",   "Gujarati",  "Gurmukhi",
                                          "Han",      "Hangul",   "Hebrew",  "Hiragana",  "Katakana",
                                          "Khmer",    "Lao",      "Latin",   "Mongolian", "Myanmar",
                                          "Tamil",    "Telugu",   "Thai",    "Tibetan",   NULL};
    const char *from = t->at, *close = memchr(from, '}', (size_t)(t->end - from));
    if (t->end - from < 4 || from[2] != '{' || !close)
        return refuse(t, from, 3, "a property is written \\p{Name}");
    const char *word = from + 3;
    bool negated = from[1] == 'P';
    if (word < close && *word == '^') {
        negated = !negated;
        word++;
    }
    size_t size = (size_t)(close - word);
    bool script = is_one_of(word, size, scripts);
    if (!script && !is_one_of(word, size, categories))
        return refuse(
            t, from, (size_t)(close - from) + 1,
            "this property is not supported (general categories such as L, Lu, N, and common scripts are)");
    mm_status status = folded_property(t, word, size, negated, in_class);
    if (status != MM_OK) return status;
    mm_text_add_string(t->out, negated ? "\\P{" : "\\p{");
    if (script) mm_text_add_string(t->out, "sc:");
    mm_text_add(t->out, word, size);
    mm_text_add_string(t->out, "}");
    t->at = close + 1;
    return MM_OK;
}

static int hex_of(char c) { // -1: it is none
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// \x{H...}, \xHH below 0x80, \uHHHH.
static mm_status code_point(translation *t) {
    const char *from = t->at, *digits = from + 2;
    bool braces = from[1] == 'x' && digits < t->end && *digits == '{';
    if (braces) digits++;
    size_t n = 0, most = braces ? 6 : from[1] == 'u' ? 4 : 2;
    uint32_t point = 0;
    for (; n < most && digits + n < t->end && hex_of(digits[n]) >= 0; n++)
        point = point << 4 | (uint32_t)hex_of(digits[n]);
    const char *after = digits + n;
    bool whole = braces ? n > 0 && after < t->end && *after == '}' : n == most;
    if (!whole || (from[1] == 'x' && !braces && digits[0] > '7'))
        return refuse(t, from, 8, "a character's number is written \\x{H...}, \\xHH below 80 or \\uHHHH");
    mm_status status = folded_character(t, point, (size_t)(after - from) + braces);
    if (status != MM_OK) return status;
    mm_text_add_string(t->out, "\\x{");
    mm_text_add(t->out, digits, n);
    mm_text_add_string(t->out, "}");
    t->at = after + braces;
    return MM_OK;
}

// Oniguruma's \w, and what it takes for a word's character outside brackets only: the superscripts and
// fractions of Latin-1.
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define NUMBERS "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"

static mm_status escape(translation *t, bool in_class) {
    if (t->end - t->at < 2) return refuse(t, t->at, 1, "nothing follows the backslash");
    char c = t->at[1];
    if (c == 'x' || c == 'u') return code_point(t);
    t->letter = 0;
    static const struct {
        char letter;
        const char *outside, *inside; // NULL: refused there
    } classes[] = {{'s', "\\p{White_Space}", "\\p{White_Space}"},
                   {'S', "\\P{White_Space}", "\\P{White_Space}"},
                   {'d', "\\p{Nd}", "\\p{Nd}"},
                   {'D', "\\P{Nd}", "\\P{Nd}"},
                   {'w', "[" WORD NUMBERS "]", WORD},
                   {'W', "[^" WORD NUMBERS "]", NULL},
                   {'v', "\\x{b}", "\\x{b}"},
                   {'A', "\\A", NULL},
                   {'z', "\\z", NULL},
                   {'Z', "\\Z", NULL}};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        const char *text = in_class ? classes[i].inside : classes[i].outside;
        if (classes[i].letter != c || !text) continue;
        mm_text_add_string(t->out, text);
        t->at += 2;
        return MM_OK;
    }
    if (c == 'p' || c == 'P') return property(t, in_class);
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    bool digit = c >= '0' && c <= '9';
    if ((letter && !strchr("rntfae", c)) || digit || (unsigned char)c >= 0x80)
        return refuse(t, t->at, 2, "this escape is not supported");
    copy(t, 2);
    return MM_OK;
}

// A character that stands for itself.
static mm_status literal(translation *t) {
    size_t size = mm_utf8_width((unsigned char)*t->at);
    mm_status status = folded_character(t, mm_utf8_point(t->at), size);
    if (status == MM_OK) copy(t, size);
    return status;
}

static mm_status character_class(translation *t) {
    const char *from = t->at;
    copy(t, 1);
    if (t->at < t->end && *t->at == '^') copy(t, 1);
    if (t->at < t->end && *t->at == ']') return refuse(t, from, 3, "an empty class is not supported");
    while (t->at < t->end && *t->at != ']') {
        if (*t->at == '[') return refuse(t, t->at, 2, "a class within a class is not supported");
        if (starts(t, "&&")) return refuse(t, t->at, 2, "an intersection of classes is not supported");
        t->letter = 0;
        mm_status status = *t->at == '\\' ? escape(t, true) : literal(t);
        if (status != MM_OK) return status;
    }
    t->letter = 0;
    if (t->at == t->end) return refuse(t, from, 20, "the class does not end");
    copy(t, 1);
    return MM_OK;
}

static mm_status group(translation *t) {
    static const char *const known[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", NULL};
    for (const char *const *k = known; *k; k++) {
        if (!starts(t, *k)) continue;
        copy(t, strlen(*k));
        t->depth++;
        if (!t->folded && !strcmp(*k, "(?i:")) {
            t->folded = t->depth;
            t->letter = 0;
        }
        return MM_OK;
    }
    // Further on, Ruby's (?i) takes in the alternatives that follow, and PCRE2's does not.
    if (starts(t, "(?i)") && t->at == t->text) {
        copy(t, 4);
        t->folded = WHOLE;
        return MM_OK;
    }
    if (starts(t, "(?") || starts(t, "(*")) return refuse(t, t->at, 4, "this group is not supported");
    copy(t, 1);
    t->depth++;
    return MM_OK;
}

// Oniguruma looks through the parentheses for letters side by side, so they leave t->letter alone.
static void group_end(translation *t) {
    if (t->folded == t->depth) t->folded = 0;
    if (t->depth) t->depth--;
    copy(t, 1);
}

static size_t digits_at(const char *from, const char *end) {
    size_t n = 0;
    while (from + n < end && from[n] >= '0' && from[n] <= '9') n++;
    return n;
}

// {n}, {n,}, {,m}, {n,m}, and a brace that is none of these and so itself.
static mm_status interval(translation *t) {
    const char *from = t->at, *low = from + 1;
    size_t low_digits = digits_at(low, t->end);
    const char *at = low + low_digits;
    bool comma = at < t->end && *at == ',';
    size_t high_digits = comma ? digits_at(at + 1, t->end) : 0;
    const char *close = comma ? at + 1 + high_digits : at;
    if (close >= t->end || *close != '}' || low_digits + high_digits == 0) {
        mm_text_add_string(t->out, "\\{");
        t->at++;
        t->letter = 0;
        return MM_OK;
    }
    size_t size = (size_t)(close - from) + 1;
    // Oniguruma writes s{2} out.
    mm_status status = t->letter ? folded_character(t, (uint32_t)t->letter, size) : MM_OK;
    if (status != MM_OK) return status;
    if (close + 1 < t->end && (close[1] == '+' || (close[1] == '?' && !comma)))
        return refuse(t, from, size + 1, "an interval with this sign behind it is not supported");
    mm_text_add_string(t->out, low_digits ? "{" : "{0");
    mm_text_add(t->out, low, size - 1);
    t->at += size;
    return MM_OK;
}

mm_status mm_pattern_translate(const char *text, size_t size, const char *name, mm_text *out,
                               mm_error *error) {
    translation t = {.text = text, .end = text + size, .at = text, .name = name, .out = out, .error = error};
    mm_status status = MM_OK;
    while (status == MM_OK && t.at < t.end) {
        switch (*t.at) {
        case '\\':
            status = escape(&t, false);
            break;
        case '[':
            status = character_class(&t);
            break;
        case '(':
            status = group(&t);
            break;
        case '{':
            status = interval(&t);
            break;
        case ')':
            group_end(&t);
            break;
        case '*':
        case '+':
        case '?':
            copy(&t, 1);
            break;
        case '|':
        case '.':
        case '^':
        case '$':
            t.letter = 0;
            copy(&t, 1);
            break;
        default:
            status = literal(&t);
        }
    }
    if (status == MM_OK && out->failed) return mm_trouble(error, "%s: out of memory for its pattern", name);
    return status;
}
