// What the tokenizer's files share.
#ifndef MM_DATA_TOKENIZER_PRIVATE_H
#define MM_DATA_TOKENIZER_PRIVATE_H

#include "bpe.h"
#include "bpe_vocab.h"
#include "pretokenize.h"
#include "tokenizer_added.h"

#include <mm/data/tokenizer.h>

// The way out of a tokenizer.json that contradicts itself.
#define MM_TOKENIZER_AGAIN "take tokenizer.json from the model's author again"

enum {
    MM_TOKEN_IN_MODEL = 1, // of model.vocab: it may come out of merging
    MM_TOKEN_ADDED = 2,
    MM_TOKEN_SPECIAL = 4
};

struct mm_tokenizer {
    char *name; // what messages call it
    char *file; // the bytes of tokenizer.json
    size_t file_size;
    mm_hash hash;

    mm_vocab vocab; // of the model and the added tokens, as tokenizer.json writes them
    mm_bpe bpe;
    int merges;
    bool ignore_merges;            // a word that is a token is that token
    int32_t byte_ids[256];         // the symbol of each byte, -1 where the vocabulary has none
    bool every_byte;               // no byte lacks its symbol
    bool nfc;                      // the normalizer: text is brought to NFC
    uint8_t joined[256 * 256 / 8]; // by two bytes: do they stand side by side in a token of the model?
    mm_pretokenizer *pretokenizer;
    mm_added_set added;         // those found in the text as it is
    mm_added_set normalized;    // those found in what the normalizer leaves
    unsigned char *flags;       // by id: MM_TOKEN_*
    mm_pattern *word_character; // NULL if no token is single_word
    mm_text contents;           // of the normalized tokens, as they are found
    mm_text bytes;              // the tokens' bytes, one after another
    size_t *byte_starts;        // by id, one more than there are ids
    int32_t bos, eos;
};

static inline bool mm_bytes_join(const mm_tokenizer *tokenizer, char first, char second) {
    unsigned pair = (unsigned)(unsigned char)first << 8 | (unsigned char)second;
    return tokenizer->joined[pair / 8] >> pair % 8 & 1;
}

// Reads the parts of a tokenizer.json into the empty tokenizer (its name and file are set).
MM_CHECKED mm_status mm_tokenizer_read_json(mm_tokenizer *tokenizer, mm_error *error);
// The model: vocabulary, with room for the added tokens, and merges.
MM_CHECKED mm_status mm_tokenizer_read_model(mm_tokenizer *tokenizer, const mm_json_document *document,
                                             mm_error *error);
MM_CHECKED mm_status mm_tokenizer_read_added(mm_tokenizer *tokenizer, const mm_json *list, mm_error *error);

#endif
