// Refused is whatever is not known to mean the same in both: a pattern that is read otherwise gives other ids
// without anybody noticing.
#include "pretokenize_translate.h"

#include <stdbool.h>
#include <string.h>

typedef struct translation {
    const char *text, *end, *at;
    const char *name; // whose pattern it is, for messages
    mm_text *out;
    mm_error *error;
} translation;

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

// \p{...}, \P{...}: general categories as they are; scripts as scripts, since a bare name is PCRE2's script
// extensions.
static mm_status property(translation *t) {
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
    mm_text_add_string(t->out, negated ? "\\P{" : "\\p{");
    if (script) mm_text_add_string(t->out, "sc:");
    mm_text_add(t->out, word, size);
    mm_text_add_string(t->out, "}");
    t->at = close + 1;
    return MM_OK;
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// \x{H...}, \xHH below 0x80, \uHHHH.
static mm_status code_point(translation *t) {
    const char *from = t->at, *digits = from + 2;
    bool braces = from[1] == 'x' && digits < t->end && *digits == '{';
    if (braces) digits++;
    size_t n = 0, most = braces ? 6 : from[1] == 'u' ? 4 : 2;
    while (n < most && digits + n < t->end && is_hex(digits[n])) n++;
    const char *after = digits + n;
    bool whole = braces ? n > 0 && after < t->end && *after == '}' : n == most;
    if (!whole || (from[1] == 'x' && !braces && digits[0] > '7'))
        return refuse(t, from, 8, "a character's number is written \\x{H...}, \\xHH below 80 or \\uHHHH");
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
    char c = t->at[1];
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        const char *text = in_class ? classes[i].inside : classes[i].outside;
        if (classes[i].letter != c || !text) continue;
        mm_text_add_string(t->out, text);
        t->at += 2;
        return MM_OK;
    }
    if (c == 'p' || c == 'P') return property(t);
    if (c == 'x' || c == 'u') return code_point(t);
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    bool digit = c >= '0' && c <= '9';
    if ((letter && !strchr("rntfae", c)) || digit || (unsigned char)c >= 0x80)
        return refuse(t, t->at, 2, "this escape is not supported");
    copy(t, 2);
    return MM_OK;
}

static mm_status character_class(translation *t) {
    const char *from = t->at;
    copy(t, 1);
    if (t->at < t->end && *t->at == '^') copy(t, 1);
    if (t->at < t->end && *t->at == ']') return refuse(t, from, 3, "an empty class is not supported");
    while (t->at < t->end && *t->at != ']') {
        if (*t->at == '[') return refuse(t, t->at, 2, "a class within a class is not supported");
        if (starts(t, "&&")) return refuse(t, t->at, 2, "an intersection of classes is not supported");
        if (*t->at != '\\') {
            copy(t, 1);
            continue;
        }
        mm_status status = escape(t, true);
        if (status != MM_OK) return status;
    }
    if (t->at == t->end) return refuse(t, from, 20, "the class does not end");
    copy(t, 1);
    return MM_OK;
}

static mm_status group(translation *t) {
    static const char *const known[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", NULL};
    for (const char *const *k = known; *k; k++) {
        if (!starts(t, *k)) continue;
        copy(t, strlen(*k));
        return MM_OK;
    }
    // Further on, Ruby's (?i) takes in the alternatives that follow, and PCRE2's does not.
    if (starts(t, "(?i)") && t->at == t->text) {
        copy(t, 4);
        return MM_OK;
    }
    if (starts(t, "(?") || starts(t, "(*")) return refuse(t, t->at, 4, "this group is not supported");
    copy(t, 1);
    return MM_OK;
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
        return MM_OK;
    }
    size_t size = (size_t)(close - from) + 1;
    if (close + 1 < t->end && (close[1] == '+' || (close[1] == '?' && !comma)))
        return refuse(t, from, size + 1, "an interval with this sign behind it is not supported");
    mm_text_add_string(t->out, low_digits ? "{" : "{0");
    mm_text_add(t->out, low, size - 1);
    t->at += size;
    return MM_OK;
}

mm_status mm_pattern_translate(const char *text, size_t size, const char *name, mm_text *out,
                               mm_error *error) {
    translation t = {text, text + size, text, name, out, error};
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
        default:
            copy(&t, 1);
        }
    }
    if (status == MM_OK && out->failed) return mm_trouble(error, "%s: no memory for its pattern", name);
    return status;
}
