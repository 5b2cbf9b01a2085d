// A tokenizer's summary, for mm tokenizer show and mm inspect.
#ifndef MM_TOOLS_TOKENIZER_SHOW_H
#define MM_TOOLS_TOKENIZER_SHOW_H

#include <mm/base/text.h>
#include <mm/data/tokenizer.h>

void tokenizer_json(mm_text *out, const mm_tokenizer *tokenizer);
void tokenizer_words(mm_text *out, const mm_tokenizer *tokenizer, const char *path);

#endif
