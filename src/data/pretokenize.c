#include "pretokenize.h"

#include "pretokenize_pattern.h"

#include <mm/base/utf8.h>
#include <stdlib.h>
#include <string.h>

// What becomes of the matches: the library's SplitDelimiterBehavior.
typedef enum behavior { ISOLATED, REMOVED, CONTIGUOUS, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT } behavior;

// One step from a piece of text to smaller ones.
typedef struct stage {
    mm_pattern *pattern; // NULL: a space is put before a piece that does not begin with one
    behavior behavior;
    bool invert; // what does not match is taken for the matches
    bool known;  // the pattern is one of those that text_cut.c speaks of
} stage;

enum { MOST_STAGES = 16 };

struct mm_pretokenizer {
    stage stages[MOST_STAGES];
    int count;
    bool byte_level;
};

struct mm_pretokenizer_state {
    const mm_pretokenizer *pretokenizer;
    mm_matcher *matcher;
    char *prefixed[MOST_STAGES]; // a stage's piece with the space before it
    size_t prefixed_size[MOST_STAGES];
    mm_word_taker take;
    void *self;
};

// The library's pattern; the endings of English contractions first.
static const char GPT2_PATTERN[] =
    "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

// Patterns that give the same words on both sides of a place of mm_text_cut.
static bool is_known(const char *pattern, size_t size) {
#define QWEN_AND_LLAMA(numbers)                                                                              \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" numbers                                    \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
    static const char *const known[] = {
        GPT2_PATTERN, QWEN_AND_LLAMA("\\p{N}"), QWEN_AND_LLAMA("\\p{N}{1,3}"), "\\p{N}", "\\p{N}+",
        "\\p{N}{1,3}"};
#undef QWEN_AND_LLAMA
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (size == strlen(known[i]) && !memcmp(pattern, known[i], size)) return true;
    return false;
}

static stage *new_stage(mm_pretokenizer *p, const char *name, mm_error *error) {
    if (p->count < MOST_STAGES) return &p->stages[p->count++];
    (void)mm_trouble(
        error,
        "%s: its pre_tokenizer has more than %d steps, which is not supported; use a tokenizer of fewer",
        name, MOST_STAGES);
    return NULL;
}

static mm_status add_pattern(mm_pretokenizer *p, const char *text, const char *name, mm_error *error) {
    stage *made = new_stage(p, name, error);
    if (made) made->known = is_known(text, strlen(text));
    return made ? mm_pattern_compile(text, strlen(text), name, &made->pattern, error) : MM_TROUBLE;
}

// A member that must be true or false; `otherwise` if it is absent.
static mm_status flag(const mm_json *value, const char *key, bool otherwise, const char *name, bool *out,
                      mm_error *error) {
    const mm_json *member = mm_json_get(value, key);
    *out = member ? mm_json_true(member) : otherwise;
    if (member && mm_json_kind_of(member) != MM_JSON_BOOL)
        return mm_trouble(error, "%s: pre_tokenizer's \"%s\" is not true or false but %s", name, key,
                          mm_json_kind_name(mm_json_kind_of(member)));
    return MM_OK;
}

static mm_status parse_byte_level(mm_pretokenizer *p, const mm_json *value, const char *name,
                                  mm_error *error) {
    bool prefix, regex;
    mm_status status = flag(value, "add_prefix_space", true, name, &prefix, error);
    if (status == MM_OK) status = flag(value, "use_regex", true, name, &regex, error);
    if (status != MM_OK) return status;
    p->byte_level = true;
    if (prefix && !new_stage(p, name, error)) return MM_TROUBLE;
    return regex ? add_pattern(p, GPT2_PATTERN, name, error) : MM_OK;
}

static mm_status parse_digits(mm_pretokenizer *p, const mm_json *value, const char *name, mm_error *error) {
    bool individual;
    mm_status status = flag(value, "individual_digits", false, name, &individual, error);
    return status == MM_OK ? add_pattern(p, individual ? "\\p{N}" : "\\p{N}+", name, error) : status;
}

static mm_status parse_split(mm_pretokenizer *p, const mm_json *value, const char *name, mm_error *error) {
    static const char *const behaviors[] = {"Isolated", "Removed", "Contiguous", "MergedWithPrevious",
                                            "MergedWithNext"};
    stage *made = new_stage(p, name, error);
    if (!made) return MM_TROUBLE;
    const char *word = mm_json_string(mm_json_get(value, "behavior"), NULL);
    int which = 0;
    while (word && which < 5 && strcmp(word, behaviors[which])) which++;
    if (!word || which == 5)
        return mm_trouble(error,
                          "%s: Split's behavior is \"%s\"; Isolated, Removed, Contiguous, MergedWithPrevious "
                          "and MergedWithNext are supported",
                          name, word ? word : "(not a string)");
    made->behavior = (behavior)which;
    mm_status status = flag(value, "invert", false, name, &made->invert, error);
    if (status != MM_OK) return status;
    const mm_json *pattern = mm_json_get(value, "pattern");
    size_t size;
    const char *regex = mm_json_string(mm_json_get(pattern, "Regex"), &size);
    made->known = regex && is_known(regex, size);
    if (regex) return mm_pattern_compile(regex, size, name, &made->pattern, error);
    const char *literal = mm_json_string(mm_json_get(pattern, "String"), &size);
    if (literal) return mm_pattern_literal(literal, size, name, &made->pattern, error);
    return mm_trouble(error, "%s: Split's pattern is neither {\"Regex\": ...} nor {\"String\": ...}", name);
}

static mm_status parse_one(mm_pretokenizer *p, const mm_json *value, const char *name, mm_error *error) {
    const char *type = mm_json_string(mm_json_get(value, "type"), NULL);
    if (!type) return mm_trouble(error, "%s: a pre_tokenizer has no \"type\"", name);
    if (p->byte_level)
        return mm_trouble(error, "%s: pre_tokenizer %s comes after ByteLevel, which must be the last", name,
                          type);
    if (!strcmp(type, "ByteLevel")) return parse_byte_level(p, value, name, error);
    if (!strcmp(type, "Split")) return parse_split(p, value, name, error);
    if (!strcmp(type, "Digits")) return parse_digits(p, value, name, error);
    if (strcmp(type, "Sequence"))
        return mm_trouble(error,
                          "%s: pre_tokenizer %s is not supported (ByteLevel, Split, Digits and Sequence are)",
                          name, type);
    const mm_json *list = mm_json_get(value, "pretokenizers");
    if (mm_json_kind_of(list) != MM_JSON_ARRAY)
        return mm_trouble(error, "%s: pre_tokenizer Sequence has no list \"pretokenizers\"", name);
    mm_status status = MM_OK;
    for (size_t i = 0; status == MM_OK && i < mm_json_size(list); i++)
        status = parse_one(p, mm_json_at(list, i), name, error);
    return status;
}

static mm_status make(const mm_json *value, bool gpt2, const char *name, mm_pretokenizer **pretokenizer,
                      mm_error *error) {
    *pretokenizer = NULL;
    mm_pretokenizer *p = calloc(1, sizeof *p);
    if (!p) return mm_trouble(error, "%s: out of memory for its pre_tokenizer", name);
    mm_status status = MM_OK;
    if (gpt2) {
        p->byte_level = true;
        status = add_pattern(p, GPT2_PATTERN, name, error);
    } else if (mm_json_kind_of(value) != MM_JSON_NULL) {
        status = parse_one(p, value, name, error);
    }
    if (status != MM_OK) {
        mm_pretokenizer_free(p);
        return status;
    }
    *pretokenizer = p;
    return MM_OK;
}

mm_status mm_pretokenizer_parse(const mm_json *value, const char *name, mm_pretokenizer **pretokenizer,
                                mm_error *error) {
    return make(value, false, name, pretokenizer, error);
}

mm_status mm_pretokenizer_gpt2(mm_pretokenizer **pretokenizer, mm_error *error) {
    return make(NULL, true, "GPT-2's pattern", pretokenizer, error);
}

void mm_pretokenizer_free(mm_pretokenizer *pretokenizer) {
    if (!pretokenizer) return;
    for (int i = 0; i < pretokenizer->count; i++) mm_pattern_free(pretokenizer->stages[i].pattern);
    free(pretokenizer);
}

bool mm_pretokenizer_same(const mm_pretokenizer *a, const mm_pretokenizer *b) {
    if (a->count != b->count || a->byte_level != b->byte_level) return false;
    for (int i = 0; i < a->count; i++) {
        const stage *x = &a->stages[i], *y = &b->stages[i];
        if (x->behavior != y->behavior || x->invert != y->invert || !x->pattern != !y->pattern) return false;
        if (x->pattern && !mm_pattern_same(x->pattern, y->pattern)) return false;
    }
    return true;
}

bool mm_pretokenizer_byte_level(const mm_pretokenizer *pretokenizer) {
    return pretokenizer->byte_level;
}

bool mm_pretokenizer_cuttable(const mm_pretokenizer *pretokenizer) {
    for (int i = 0; i < pretokenizer->count; i++) {
        const stage *s = &pretokenizer->stages[i];
        // A space before the text would also come before each piece; the other behaviors join words.
        if (!s->known || (s->behavior != ISOLATED && s->behavior != REMOVED)) return false;
    }
    return pretokenizer->count > 0;
}

mm_status mm_pretokenizer_state_new(const mm_pretokenizer *pretokenizer, mm_pretokenizer_state **state,
                                    mm_error *error) {
    *state = calloc(1, sizeof **state);
    if (*state) {
        (*state)->pretokenizer = pretokenizer;
        (*state)->matcher = mm_matcher_new();
        if ((*state)->matcher) return MM_OK;
    }
    free(*state);
    *state = NULL;
    return mm_trouble(error, "splitting text into words: out of memory");
}

void mm_pretokenizer_state_free(mm_pretokenizer_state *state) {
    if (!state) return;
    mm_matcher_free(state->matcher);
    for (int i = 0; i < MOST_STAGES; i++) free(state->prefixed[i]);
    free(state);
}

static mm_status run_stage(mm_pretokenizer_state *state, int at, const char *text, size_t size,
                           mm_error *error);

// The pieces of one stage on their way to the next. A piece that a later one may still join is held back.
typedef struct pieces {
    mm_pretokenizer_state *state;
    const stage *stage;
    int next; // stage
    const char *text;
    size_t start, end; // the piece held back
    bool held;
    bool was_match; // the piece before
} pieces;

static mm_status pass_on(pieces *p, size_t start, size_t end, mm_error *error) {
    return start < end ? run_stage(p->state, p->next, p->text + start, end - start, error) : MM_OK;
}

static mm_status hold(pieces *p, size_t start, size_t end, mm_error *error) {
    mm_status status = p->held ? pass_on(p, p->start, p->end, error) : MM_OK;
    p->start = start;
    p->end = end;
    p->held = true;
    return status;
}

static mm_status take_piece(pieces *p, size_t start, size_t end, bool match, mm_error *error) {
    if (p->stage->invert) match = !match;
    bool joins = false;
    switch (p->stage->behavior) {
    case ISOLATED:
        return pass_on(p, start, end, error);
    case REMOVED:
        return match ? MM_OK : pass_on(p, start, end, error);
    case CONTIGUOUS:
        joins = match == p->was_match;
        break;
    case MERGED_WITH_PREVIOUS:
        joins = match && !p->was_match;
        break;
    case MERGED_WITH_NEXT:
        joins = !match && p->was_match;
        break;
    }
    p->was_match = match;
    if (!joins || !p->held) return hold(p, start, end, error);
    p->end = end;
    return MM_OK;
}

static mm_status split(pieces *p, const mm_pattern *pattern, size_t size, mm_error *error) {
    size_t from = 0, before = 0, last_end = SIZE_MAX;
    while (from <= size) {
        bool found;
        size_t start, end;
        mm_status status =
            mm_pattern_find(pattern, p->state->matcher, p->text, size, from, &found, &start, &end, error);
        if (status != MM_OK) return status;
        if (!found) break;
        // An empty match just behind the match before it is none: one character on.
        if (start == end && end == last_end) {
            if (from == size) break;
            from += mm_utf8_width((unsigned char)p->text[from]);
            continue;
        }
        if (before < start) status = take_piece(p, before, start, false, error);
        if (status == MM_OK) status = take_piece(p, start, end, true, error);
        if (status != MM_OK) return status;
        before = from = last_end = end;
    }
    mm_status status = before < size ? take_piece(p, before, size, false, error) : MM_OK;
    return status == MM_OK && p->held ? pass_on(p, p->start, p->end, error) : status;
}

static mm_status prefix(mm_pretokenizer_state *state, int at, const char *text, size_t size,
                        mm_error *error) {
    if (text[0] == ' ') return run_stage(state, at + 1, text, size, error);
    if (state->prefixed_size[at] < size + 1) {
        char *wider = realloc(state->prefixed[at], size + 1);
        if (!wider) return mm_trouble(error, "a text of %zu bytes: out of memory", size);
        state->prefixed[at] = wider;
        state->prefixed_size[at] = size + 1;
    }
    state->prefixed[at][0] = ' ';
    memcpy(state->prefixed[at] + 1, text, size);
    return run_stage(state, at + 1, state->prefixed[at], size + 1, error);
}

// As deep as there are stages.
static mm_status run_stage(mm_pretokenizer_state *state, int at, const char *text, size_t size,
                           mm_error *error) {
    if (at == state->pretokenizer->count) return state->take(state->self, text, size, error);
    const stage *here = &state->pretokenizer->stages[at];
    if (!here->pattern) return prefix(state, at, text, size, error);
    pieces p = {.state = state, .stage = here, .next = at + 1, .text = text};
    return split(&p, here->pattern, size, error);
}

mm_status mm_pretokenize(mm_pretokenizer_state *state, const char *text, size_t size, mm_word_taker take,
                         void *self, mm_error *error) {
    state->take = take;
    state->self = self;
    return size ? run_stage(state, 0, text, size, error) : MM_OK;
}
