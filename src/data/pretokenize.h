// A tokenizer.json's pre_tokenizer: text to words.
#ifndef MM_DATA_PRETOKENIZE_H
#define MM_DATA_PRETOKENIZE_H

#include <mm/base/status.h>
#include <mm/files/json.h>
#include <stdbool.h>
#include <stddef.h>

// Immutable: shared by threads.
typedef struct mm_pretokenizer mm_pretokenizer;
// `value` may be NULL or null: the whole text is one word. Refuses by name what is not supported.
MM_CHECKED mm_status mm_pretokenizer_parse(const mm_json *value, const char *name,
                                           mm_pretokenizer **pretokenizer, mm_error *error);
// ByteLevel with GPT-2's pattern and no prefix space.
MM_CHECKED mm_status mm_pretokenizer_gpt2(mm_pretokenizer **pretokenizer, mm_error *error);
void mm_pretokenizer_free(mm_pretokenizer *pretokenizer);
// Do they have the same steps, however the file writes them?
bool mm_pretokenizer_same(const mm_pretokenizer *a, const mm_pretokenizer *b);
// Are words written in the byte alphabet (ByteLevel), or as they are?
bool mm_pretokenizer_byte_level(const mm_pretokenizer *pretokenizer);
// Do the pieces that mm_text_cut makes of a text have the words of the whole?
bool mm_pretokenizer_cuttable(const mm_pretokenizer *pretokenizer);

// What one thread needs.
typedef struct mm_pretokenizer_state mm_pretokenizer_state;
MM_CHECKED mm_status mm_pretokenizer_state_new(const mm_pretokenizer *pretokenizer,
                                               mm_pretokenizer_state **state, mm_error *error);
void mm_pretokenizer_state_free(mm_pretokenizer_state *state);

// Takes one word, never empty, its bytes as they are in the text; what it returns other than MM_OK ends the
// text.
typedef mm_status (*mm_word_taker)(void *self, const char *word, size_t size, mm_error *error);
// The words of well-formed UTF-8, in order.
MM_CHECKED mm_status mm_pretokenize(mm_pretokenizer_state *state, const char *text, size_t size,
                                    mm_word_taker take, void *self, mm_error *error);

#endif
