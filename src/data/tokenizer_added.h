// Added tokens: recognised in the text before anything else is done with it.
#ifndef MM_DATA_TOKENIZER_ADDED_H
#define MM_DATA_TOKENIZER_ADDED_H

#include "pretokenize_pattern.h"

#include <mm/base/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mm_added_token {
    const char *content; // owned by whoever owns the tokens
    size_t size;
    int32_t id;
    bool special, single_word, lstrip, rstrip, normalized;
} mm_added_token;

// Bytes that a token ends with. A text is read backwards, so that after each byte the longest of these is
// known that the text goes on with, and with it the longest token.
typedef struct mm_added_node {
    int32_t children; // endings with one byte more before these, by that byte
    int32_t shorter;  // the longest of the others that these bytes begin with
    int32_t token;    // the longest that these bytes begin with; -1: none
    uint16_t count;   // of children
    uint8_t byte;     // the first of these
} mm_added_node;

// Tokens sorted by content.
typedef struct mm_added_set {
    mm_added_token *tokens;
    int count;
    size_t longest;       // of their sizes
    mm_added_node *nodes; // the first has no bytes
    int32_t root[256];    // the first one's children; 0: none
} mm_added_set;

// Sorts `tokens` (taken over whatever happens, malloc'ed, contents not empty) and makes the index. Two of the
// same content are trouble: which of them is found would be chance. `name` says whose tokens they are.
MM_CHECKED mm_status mm_added_index(mm_added_set *set, mm_added_token *tokens, int count, const char *name,
                                    mm_error *error);
void mm_added_free(mm_added_set *set);
// May texts be cut at ends of lines? Not if a token holds one, or takes blanks in.
bool mm_added_cuttable(const mm_added_set *set);

typedef struct mm_added_found {
    size_t at;
    int32_t token;
} mm_added_found;

// What one thread needs for one set: the first three are set, the others {0} at first.
typedef struct mm_added_finder {
    const mm_added_set *set;
    const mm_pattern *word; // \w's pattern, needed if any token is single_word
    mm_matcher *matcher;    // not the finder's
    mm_added_found *found;  // of a window of the text, the last place first
    size_t count, room;
    size_t until;     // where the window ends
    size_t blanks[2]; // where the last blanks that a token took begin and end
} mm_added_finder;
void mm_added_finder_free(mm_added_finder *finder);

// A part of a text: an added token, or (token NULL) what lies between.
typedef mm_status (*mm_part_taker)(void *self, const mm_added_token *token, const char *text, size_t size,
                                   mm_error *error);
// The parts of well-formed UTF-8 in order, none empty: at each place the longest token is taken, and those
// that single_word rules out are passed over. Linear in the text.
MM_CHECKED mm_status mm_added_split(mm_added_finder *finder, const char *text, size_t size,
                                    mm_part_taker take, void *self, mm_error *error);

#endif
