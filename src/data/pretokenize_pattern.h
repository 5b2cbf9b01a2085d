// Regular expressions as the tokenizers library means them (Oniguruma's Ruby syntax), by PCRE2: the only
// place of it.
#ifndef MM_DATA_PRETOKENIZE_PATTERN_H
#define MM_DATA_PRETOKENIZE_PATTERN_H

#include <mm/base/status.h>
#include <stdbool.h>
#include <stddef.h>

// Immutable: shared by threads.
typedef struct mm_pattern mm_pattern;
// Refuses by name what PCRE2 would read otherwise than Oniguruma. `name` says whose pattern it is.
MM_CHECKED mm_status mm_pattern_compile(const char *text, size_t size, const char *name, mm_pattern **pattern,
                                        mm_error *error);
// The text itself is what is looked for.
MM_CHECKED mm_status mm_pattern_literal(const char *text, size_t size, const char *name, mm_pattern **pattern,
                                        mm_error *error);
// \w of Unicode (UTS 18), as the library's single_word has it.
MM_CHECKED mm_status mm_pattern_word_character(mm_pattern **pattern, mm_error *error);
void mm_pattern_free(mm_pattern *pattern);
// Are they written alike, as PCRE2 has them?
bool mm_pattern_same(const mm_pattern *a, const mm_pattern *b);

// What one thread needs to match.
typedef struct mm_matcher mm_matcher;
mm_matcher *mm_matcher_new(void); // NULL if memory is out
void mm_matcher_free(mm_matcher *matcher);
// The first match at or after `from` in well-formed UTF-8. *found false: there is none. A pattern that goes
// back over and over, as (a+)+b does, is trouble.
MM_CHECKED mm_status mm_pattern_find(const mm_pattern *pattern, mm_matcher *matcher, const char *text,
                                     size_t size, size_t from, bool *found, size_t *start, size_t *end,
                                     mm_error *error);

#endif
