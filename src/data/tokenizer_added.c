#include "tokenizer_added.h"

#include "tokenizer_utf8.h"

#include <stdlib.h>
#include <string.h>

static int by_content(const void *a, const void *b) {
    const mm_added_token *x = a, *y = b;
    int order = memcmp(x->content, y->content, x->size < y->size ? x->size : y->size);
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

mm_status mm_added_index(mm_added_set *set, mm_added_token *tokens, int count, const char *name,
                         mm_error *error) {
    *set = (mm_added_set){.tokens = tokens, .count = count};
    if (count) qsort(tokens, (size_t)count, sizeof *tokens, by_content);
    int at = 0;
    for (int byte = 0; byte <= 256; byte++) {
        while (at < count && (unsigned char)tokens[at].content[0] < byte) at++;
        set->first[byte] = at;
    }
    for (int i = 0; i + 1 < count; i++)
        if (!by_content(&tokens[i], &tokens[i + 1]))
            return mm_trouble(
                error,
                "%s: added tokens %d and %d are both \"%.*s\" once they are normalized, expected "
                "different ones; take one out",
                name, tokens[i].id, tokens[i + 1].id, (int)tokens[i].size, tokens[i].content);
    return MM_OK;
}

void mm_added_free(mm_added_set *set) {
    free(set->tokens);
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

// The first of tokens low to high - 1, which are alike up to `depth`, whose byte at `depth` is `byte` or
// more.
static int bound(const mm_added_set *set, int low, int high, size_t depth, int byte) {
    while (low < high) {
        int middle = low + (high - low) / 2;
        const mm_added_token *token = &set->tokens[middle];
        int found = token->size > depth ? (unsigned char)token->content[depth] : -1;
        if (found < byte) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// The longest token that the text begins with, or NULL.
static const mm_added_token *longest(const mm_added_set *set, const char *text, size_t size) {
    int low = set->first[(unsigned char)text[0]], high = set->first[(unsigned char)text[0] + 1];
    const mm_added_token *best = NULL;
    for (size_t depth = 1; low < high; depth++) {
        // Of tokens alike so far the shortest stands first.
        if (set->tokens[low].size == depth) best = &set->tokens[low];
        if (depth == size) break;
        int byte = (unsigned char)text[depth];
        low = bound(set, low, high, depth, byte);
        high = bound(set, low, high, depth, byte + 1);
    }
    return best;
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

mm_status mm_added_split(const mm_added_set *set, const mm_pattern *word, mm_matcher *matcher,
                         const char *text, size_t size, mm_part_taker take, void *self, mm_error *error) {
    size_t done = 0; // what lies before has been handed on
    for (size_t at = 0; set->count && at < size;) {
        unsigned char byte = (unsigned char)text[at];
        const mm_added_token *token =
            set->first[byte] < set->first[byte + 1] ? longest(set, text + at, size - at) : NULL;
        if (!token) {
            at++;
            continue;
        }
        size_t start = at, end = at + token->size;
        at = end;
        if (token->single_word) {
            bool touches;
            mm_status status = touches_word(word, matcher, text, size, start, end, &touches, error);
            if (status != MM_OK) return status;
            if (touches) continue;
        }
        if (token->lstrip) start = spaces_before(text, done, start);
        if (token->rstrip) end = spaces_behind(text, size, end);
        // Blanks that the token before has taken are no longer there.
        if (end <= start) continue;
        mm_status status = start > done ? take(self, NULL, text + done, start - done, error) : MM_OK;
        if (status == MM_OK) status = take(self, token, text + start, end - start, error);
        if (status != MM_OK) return status;
        done = end;
    }
    return done < size ? take(self, NULL, text + done, size - done, error) : MM_OK;
}
