// A small tokenizer and a dataset packed with it.
#ifndef TESTS_PACKED_H
#define TESTS_PACKED_H

#include <mm/data/pack.h>
#include <mm/data/tokenizer.h>
#include <stddef.h>

// 3 + 256 + 41 entries, trained on text of its own. Close it.
mm_tokenizer *packed_tokenizer(void);

typedef struct packed_text {
    const char *text;
    size_t size;
} packed_text;
// Packs the texts into FOLDER/NAME (by a .jsonl file in the folder). NULL options: none.
void packed_pack(const char *folder, const char *name, const packed_text *texts, size_t count,
                 const mm_tokenizer *tokenizer, const mm_pack_options *options, mm_pack_result *result);

#endif
