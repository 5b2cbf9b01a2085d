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

// Tokens sorted by content, so that those with a common beginning stand together.
typedef struct mm_added_set {
    mm_added_token *tokens;
    int count;
    int first[257]; // tokens that begin with byte b: first[b] to first[b + 1] - 1
} mm_added_set;

// Sorts `tokens` (taken over whatever happens, malloc'ed, contents not empty) and makes the index. Two of the
// same content are trouble: which of them is found would be chance. `name` says whose tokens they are.
MM_CHECKED mm_status mm_added_index(mm_added_set *set, mm_added_token *tokens, int count, const char *name,
                                    mm_error *error);
void mm_added_free(mm_added_set *set);
// May texts be cut at ends of lines? Not if a token holds one, or takes blanks in.
bool mm_added_cuttable(const mm_added_set *set);

// A part of a text: an added token, or (token NULL) what lies between.
typedef mm_status (*mm_part_taker)(void *self, const mm_added_token *token, const char *text, size_t size,
                                   mm_error *error);
// The parts of well-formed UTF-8 in order, none empty: at each place the longest token is taken, and those
// that single_word rules out are passed over. `word` is \w's pattern, needed if any token is single_word.
MM_CHECKED mm_status mm_added_split(const mm_added_set *set, const mm_pattern *word, mm_matcher *matcher,
                                    const char *text, size_t size, mm_part_taker take, void *self,
                                    mm_error *error);

#endif
