#include "tokenizer_added.h"

#include <mm/base/utf8.h>
#include <stdlib.h>
#include <string.h>

static int by_content(const void *a, const void *b) {
    const mm_added_token *x = a, *y = b;
    int order = memcmp(x->content, y->content, x->size < y->size ? x->size : y->size);
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

static unsigned char from_end(const mm_added_token *token, size_t depth) {
    return (unsigned char)token->content[token->size - 1 - depth];
}

static int by_reversed_content(const void *a, const void *b) {
    const mm_added_token *x = *(const mm_added_token *const *)a, *y = *(const mm_added_token *const *)b;
    for (size_t i = 0; i < x->size && i < y->size; i++)
        if (from_end(x, i) != from_end(y, i)) return from_end(x, i) - from_end(y, i);
    return (x->size > y->size) - (x->size < y->size);
}

// --- the automaton

// Of another than the first; 0: none.
static int32_t child_of(const mm_added_set *set, int32_t node, unsigned char byte) {
    int32_t low = set->nodes[node].children, high = low + set->nodes[node].count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (set->nodes[middle].byte == byte) return middle;
        if (set->nodes[middle].byte < byte) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return 0;
}

// What is known with one byte more before it.
static int32_t step(const mm_added_set *set, int32_t node, unsigned char byte) {
    for (; node; node = set->nodes[node].shorter) {
        int32_t child = child_of(set, node, byte);
        if (child) return child;
    }
    return set->root[byte];
}

// The tokens, by reversed content, that a node is an ending of.
typedef struct node_range {
    int32_t low, high;
    uint32_t depth;
} node_range;

// Makes the children of a node. Whatever is not as deep has been made, so the shorter ending is known.
static int32_t make_children(mm_added_set *set, int32_t node, const mm_added_token *const *order,
                             node_range *ranges, int32_t made) {
    node_range r = ranges[node];
    mm_added_node *n = &set->nodes[node];
    n->token = n->shorter == node ? -1 : set->nodes[n->shorter].token;
    if (r.low < r.high && order[r.low]->size == r.depth) n->token = (int32_t)(order[r.low++] - set->tokens);
    n->children = made;
    for (int32_t i = r.low, end; i < r.high; i = end, made++) {
        unsigned char byte = from_end(order[i], r.depth);
        for (end = i + 1; end < r.high && from_end(order[end], r.depth) == byte;) end++;
        set->nodes[made] = (mm_added_node){.byte = byte, .token = -1};
        if (node) set->nodes[made].shorter = step(set, n->shorter, byte);
        if (!node) set->root[byte] = made;
        ranges[made] = (node_range){i, end, r.depth + 1};
    }
    n->count = (uint16_t)(made - n->children);
    return made;
}

// Source: A. V. Aho and M. J. Corasick (1975).
static bool make_nodes(mm_added_set *set, size_t bytes) {
    const mm_added_token **order = malloc(((size_t)set->count + 1) * sizeof *order);
    node_range *ranges = malloc((bytes + 1) * sizeof *ranges);
    set->nodes = malloc((bytes + 1) * sizeof *set->nodes);
    bool good = order && ranges && set->nodes;
    int32_t made = 1;
    if (good) {
        for (int i = 0; i < set->count; i++) order[i] = &set->tokens[i];
        qsort(order, (size_t)set->count, sizeof *order, by_reversed_content);
        set->nodes[0] = (mm_added_node){.token = -1};
        ranges[0] = (node_range){0, set->count, 0};
        for (int32_t node = 0; node < made; node++) made = make_children(set, node, order, ranges, made);
        // Endings that tokens share are made once.
        mm_added_node *fitting = realloc(set->nodes, (size_t)made * sizeof *fitting);
        if (fitting) set->nodes = fitting;
    }
    free(order);
    free(ranges);
    return good;
}

mm_status mm_added_index(mm_added_set *set, mm_added_token *tokens, int count, const char *name,
                         mm_error *error) {
    enum { MOST_BYTES = 1 << 24 };
    *set = (mm_added_set){.tokens = tokens, .count = count};
    if (!count) return MM_OK;
    qsort(tokens, (size_t)count, sizeof *tokens, by_content);
    size_t bytes = 0;
    for (int i = 0; i < count; i++) {
        bytes += tokens[i].size;
        if (tokens[i].size > set->longest) set->longest = tokens[i].size;
        if (i && !by_content(&tokens[i - 1], &tokens[i]))
            return mm_trouble(
                error,
                "%s: added tokens %d and %d are both \"%.*s\" once they are normalized, expected "
                "different ones; take one out",
                name, tokens[i - 1].id, tokens[i].id, (int)tokens[i].size, tokens[i].content);
    }
    if (bytes > MOST_BYTES)
        return mm_trouble(error, "%s: its added tokens have %zu bytes, expected at most %d; take some out",
                          name, bytes, MOST_BYTES);
    return make_nodes(set, bytes) ? MM_OK : mm_trouble(error, "%s: out of memory for its added tokens", name);
}

void mm_added_free(mm_added_set *set) {
    free(set->tokens);
    free(set->nodes);
    *set = (mm_added_set){0};
}

bool mm_added_cuttable(const mm_added_set *set) {
    for (int i = 0; i < set->count; i++) {
        const mm_added_token *token = &set->tokens[i];
        bool line_end =
            memchr(token->content, '\n', token->size) || memchr(token->content, '\r', token->size);
        if (line_end || token->lstrip || token->rstrip) return false;
    }
    return true;
}

void mm_added_finder_free(mm_added_finder *finder) {
    free(finder->found);
    *finder = (mm_added_finder){0};
}

static mm_status note(mm_added_finder *f, size_t at, int32_t token, mm_error *error) {
    if (f->count == f->room) {
        size_t room = f->room ? 2 * f->room : 64;
        mm_added_found *wider = realloc(f->found, room * sizeof *wider);
        if (!wider) return mm_trouble(error, "%zu added tokens of a text: out of memory", room);
        f->found = wider;
        f->room = room;
    }
    f->found[f->count++] = (mm_added_found){at, token};
    return MM_OK;
}

// Notes the longest token at each place of a window from `from` on, the last place first. What begins in the
// window is read whole; the window is as wide as that, so a byte is read twice at most.
static mm_status look(mm_added_finder *f, const char *text, size_t size, size_t from, mm_error *error) {
    enum { LEAST_WINDOW = 1 << 14 };
    const mm_added_set *set = f->set;
    size_t window = set->longest > LEAST_WINDOW ? set->longest : LEAST_WINDOW;
    f->until = size - from > window ? from + window : size;
    size_t at = size - f->until > set->longest ? f->until + set->longest : size;
    mm_status status = MM_OK;
    for (int32_t node = 0; at > from && status == MM_OK;) {
        node = step(set, node, (unsigned char)text[--at]);
        int32_t token = set->nodes[node].token;
        if (token >= 0 && at < f->until) status = note(f, at, token, error);
    }
    return status;
}

// The first token at or behind `at`, and where it begins; NULL: there is none.
static mm_status next_token(mm_added_finder *f, const char *text, size_t size, size_t at,
                            const mm_added_token **token, size_t *start, mm_error *error) {
    *token = NULL;
    for (mm_status status; !*token && at < size;) {
        while (f->count && f->found[f->count - 1].at < at) f->count--;
        if (f->count) {
            *start = f->found[--f->count].at;
            *token = &f->set->tokens[f->found[f->count].token];
        } else {
            if (at < f->until) at = f->until;
            if (at < size && (status = look(f, text, size, at, error)) != MM_OK) return status;
        }
    }
    return MM_OK;
}

static mm_status is_word(const mm_pattern *word, mm_matcher *matcher, const char *text, size_t size,
                         bool *yes, mm_error *error) {
    size_t start, end;
    return mm_pattern_find(word, matcher, text, size, 0, yes, &start, &end, error);
}

// Does a letter stand right before or right behind the place?
static mm_status touches_word(const mm_pattern *word, mm_matcher *matcher, const char *text, size_t size,
                              size_t start, size_t end, bool *touches, mm_error *error) {
    *touches = false;
    mm_status status = MM_OK;
    if (start) {
        size_t width = mm_utf8_width_before(text, start);
        status = is_word(word, matcher, text + start - width, width, touches, error);
    }
    if (status == MM_OK && !*touches && end < size) {
        size_t width = mm_utf8_width((unsigned char)text[end]);
        status = is_word(word, matcher, text + end, width, touches, error);
    }
    return status;
}

static size_t spaces_before(const char *text, size_t low, size_t at) {
    while (at > low) {
        size_t width = mm_utf8_width_before(text, at);
        if (!mm_unicode_space(mm_utf8_point(text + at - width))) break;
        at -= width;
    }
    return at < low ? low : at;
}

static size_t spaces_behind(const char *text, size_t size, size_t at) {
    while (at < size && mm_unicode_space(mm_utf8_point(text + at)))
        at += mm_utf8_width((unsigned char)text[at]);
    return at;
}

// Where the blanks end that begin at `at`. Those of the last time are not looked through again: each of them
// may be a token.
static size_t blanks_end(mm_added_finder *f, const char *text, size_t size, size_t at) {
    if (at < f->blanks[0] || at > f->blanks[1]) {
        f->blanks[0] = at;
        f->blanks[1] = spaces_behind(text, size, at);
    }
    return f->blanks[1];
}

mm_status mm_added_split(mm_added_finder *finder, const char *text, size_t size, mm_part_taker take,
                         void *self, mm_error *error) {
    size_t done = 0; // what lies before has been handed on
    finder->count = finder->until = finder->blanks[0] = finder->blanks[1] = 0;
    for (size_t at = 0; finder->set->count;) {
        const mm_added_token *token;
        size_t start;
        mm_status status = next_token(finder, text, size, at, &token, &start, error);
        if (status != MM_OK) return status;
        if (!token) break;
        size_t end = start + token->size;
        at = end;
        if (token->single_word) {
            bool touches;
            status = touches_word(finder->word, finder->matcher, text, size, start, end, &touches, error);
            if (status != MM_OK) return status;
            if (touches) continue;
        }
        if (token->lstrip) start = spaces_before(text, done, start);
        if (token->rstrip) end = blanks_end(finder, text, size, end);
        // Blanks that the token before has taken are no longer there.
        if (end <= start) continue;
        if (start > done) status = take(self, NULL, text + done, start - done, error);
        if (status == MM_OK) status = take(self, token, text + start, end - start, error);
        if (status != MM_OK) return status;
        done = end;
    }
    return done < size ? take(self, NULL, text + done, size - done, error) : MM_OK;
}
