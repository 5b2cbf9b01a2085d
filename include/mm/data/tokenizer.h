// A byte-level BPE tokenizer as Hugging Face's tokenizers library has it: tokenizer.json in, the same ids
// out. Source: R. Sennrich et al. (2016) for BPE, GPT-2's byte alphabet and pre-tokeniser pattern, the
// library's file format.
#ifndef MM_DATA_TOKENIZER_H
#define MM_DATA_TOKENIZER_H

#include <mm/base/hash.h>
#include <mm/base/status.h>
#include <mm/base/text.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Immutable once open: any number of threads may encode with it, each with its own mm_encoder.
typedef struct mm_tokenizer mm_tokenizer;

// Refuses by name what it does not support. `path` is a tokenizer.json, or a folder that holds one.
// *tokenizer is NULL after trouble.
MM_CHECKED mm_status mm_tokenizer_open(const char *path, mm_tokenizer **tokenizer, mm_error *error);
// The same from memory; `name` is what messages call it. Both texts are copied. There is no file beside it:
// bos and eos are <|im_start|> and <|im_end|>, if it has them.
MM_CHECKED mm_status mm_tokenizer_parse(const char *text, size_t size, const char *name,
                                        mm_tokenizer **tokenizer, mm_error *error);
void mm_tokenizer_close(mm_tokenizer *tokenizer);
// Fills `path` with MODEL/tokenizer.json; trouble if the file is not there. `text` is what it is to pack, or
// NULL.
MM_CHECKED mm_status mm_tokenizer_find(const char *model, const char *text, char *path, size_t size,
                                       mm_error *error);

// Its path, or what mm_tokenizer_parse was told.
const char *mm_tokenizer_name(const mm_tokenizer *tokenizer);
int mm_tokenizer_vocab(const mm_tokenizer *tokenizer);  // ids run from 0 to this - 1
int mm_tokenizer_merges(const mm_tokenizer *tokenizer); // number of merges
// The file's bytes as they were read (the tokenizer's), so that they can be copied byte for byte.
const char *mm_tokenizer_file(const mm_tokenizer *tokenizer, size_t *size);
mm_hash mm_tokenizer_hash(const mm_tokenizer *tokenizer); // XXH3-128 of the file
// -1 if there is no such token. `text` is the token as tokenizer.json writes it ("<|im_start|>", "Ġthe").
int32_t mm_tokenizer_id(const mm_tokenizer *tokenizer, const char *text);
// The token's bytes: byte alphabet undone, but an added token that the model lacks is its content. They are
// the tokenizer's and do not end with a NUL. NULL for an id without a token, and *size is as it was.
const char *mm_tokenizer_bytes(const mm_tokenizer *tokenizer, int32_t id, size_t *size);
bool mm_tokenizer_is_special(const mm_tokenizer *tokenizer, int32_t id);
// What documents begin and end with: in a dataset's folder what its tokens do; else as tokenizer_config.json
// beside the file says ("bos_token", "eos_token", a string or {"content"}; a bos_token of null, as Qwen has
// it: eos stands before each document, too); else <|im_start|> and <|im_end|>; else -1.
int32_t mm_tokenizer_bos(const mm_tokenizer *tokenizer);
int32_t mm_tokenizer_eos(const mm_tokenizer *tokenizer);
// Do the pieces that mm_text_cut (text_cut.h) makes of a text have the ids of the whole? True for the
// patterns of GPT-2, Qwen 2 and 3, Llama 3 and Digits, unless an added token holds a line's end or takes
// blanks in.
bool mm_tokenizer_cuttable(const mm_tokenizer *tokenizer);
// "15.0.0": PCRE2's Unicode version. The thread's, for as long as it lives.
const char *mm_unicode_version(void);
// "15.0.0": the Unicode version of the NFC that the tokenizer brings text to first (utf8proc's); NULL if it
// does not.
const char *mm_tokenizer_nfc(const mm_tokenizer *tokenizer);
// Do they give every text the same ids, by vocabulary, merges, added tokens, pre-tokenizer, normalizer and
// ignore_merges? However their files write them; what stands in the files beside changes no id. Otherwise
// *what says which differs.
bool mm_tokenizer_same(const mm_tokenizer *a, const mm_tokenizer *b, const char **what);

typedef struct mm_ids {
    int32_t *data;
    size_t size, capacity;
} mm_ids;
void mm_ids_free(mm_ids *ids);
// Room for `more` ids behind those that are there.
MM_CHECKED mm_status mm_ids_reserve(mm_ids *ids, size_t more, mm_error *error);
// Appends `count` ids.
MM_CHECKED mm_status mm_ids_add(mm_ids *ids, const int32_t *more, size_t count, mm_error *error);

// What one thread needs to encode: match data, scratch, a cache of words. The tokenizer must outlive it.
// *encoder is NULL after trouble.
typedef struct mm_encoder mm_encoder;
MM_CHECKED mm_status mm_encoder_new(const mm_tokenizer *tokenizer, mm_encoder **encoder, mm_error *error);
void mm_encoder_free(mm_encoder *encoder);
// Appends the ids of the text (any bytes; what is not UTF-8 is first replaced by U+FFFD as Python's
// errors="replace" does) to `ids`. No bos or eos is added. Added tokens are recognised as the library does,
// unless `plain`. After trouble some of the ids may have been appended.
MM_CHECKED mm_status mm_encode(mm_encoder *encoder, const char *text, size_t size, bool plain, mm_ids *ids,
                               mm_error *error);
// Had the text that was encoded last bytes that were replaced?
bool mm_encoder_repaired(const mm_encoder *encoder);
// Appends the bytes of the ids to `text`; special tokens are left out if `skip_special`. An id outside the
// vocabulary is trouble, after which the bytes of some ids may have been appended. Thread safe.
MM_CHECKED mm_status mm_decode(const mm_tokenizer *tokenizer, const int32_t *ids, size_t count,
                               bool skip_special, mm_text *text, mm_error *error);

#endif
