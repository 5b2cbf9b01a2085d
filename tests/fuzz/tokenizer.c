// tokenizer.json, and the tokenizer_config.json beside it: what opened encodes any text, the same each time,
// into ids of its vocabulary. An input is tokenizer.json, a text, and tokenizer_config.json.
#include "fuzz.h"

#include <mm/data/tokenizer.h>
#include <stdlib.h>
#include <string.h>

// An encoder remembers words in 4 MiB; PCRE2's code and Jansson's values are many times the text they are
// made of.
enum { MEMORY = 10 << 20, MEMORY_FACTOR = 1000 };
static const char name[] = "tokenizer.json";

static const fuzz_piece texts[] = {
    {"The quick brown fox, 1234567 times.\r\n\n  It's\tOK", 48},
    {"<|im_start|>user <|im_end|><|endoftext|>", 40},
    {"a\xcc\x81 \xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb \xd8\xb9\xd8\xb1", 27},
    {"\xff\xc3 \xed\xa0\x80\x00\xf4\x90\x80\x80", 11},
    {"", 0},
    // Marks that NFC sorts.
    {"a\xcc\x81\xcc\xa7\xcc\x96\xcc\x81\xcd\x85 \xe1\xba\xad\xcc\xa3\xcc\x82", 19},
};
// And words of equal letters and of drawn ones, too long to be merged as short words are.
enum { GIVEN = sizeof texts / sizeof *texts, TEXTS = GIVEN + 2, LONG = 400 };

static fuzz_piece text_of(int i) {
    static char words[TEXTS - GIVEN][LONG];
    if (i < GIVEN) return texts[i];
    char *word = words[i - GIVEN];
    uint64_t draws = 1;
    for (int c = 0; c < LONG; c++)
        word[c] = (char)('a' + (i == GIVEN ? c == LONG - 1 : (int)(fuzz_draw(&draws) % 3)));
    return (fuzz_piece){word, LONG};
}

// The ids of the text; *status says whether there are any.
static mm_ids encode(mm_encoder *encoder, fuzz_piece text, bool plain, mm_status *status) {
    mm_error error;
    mm_ids ids = {0};
    *status = mm_encode(encoder, text.data ? text.data : "", text.size, plain, &ids, &error);
    if (*status) fuzz_said(*status, &error, name);
    return ids;
}

static void check_ids(const mm_tokenizer *tokenizer, const mm_ids *ids) {
    mm_error error;
    mm_text text = {0};
    size_t size, bytes = 0;
    for (size_t i = 0; i < ids->size; i++) {
        fuzz_assert(ids->data[i] >= 0 && ids->data[i] < mm_tokenizer_vocab(tokenizer));
        fuzz_assert(mm_tokenizer_bytes(tokenizer, ids->data[i], &size));
        bytes += size;
    }
    fuzz_assert(mm_decode(tokenizer, ids->data, ids->size, false, &text, &error) == MM_OK);
    fuzz_assert(text.size == bytes);
    mm_text_free(&text);
}

// Once with each of two encoders, which see the texts in another order, so that what one remembers does not
// show.
static void encode_texts(const mm_tokenizer *tokenizer, const mm_tokenizer *again, fuzz_piece last) {
    mm_encoder *one, *two;
    mm_ids first[2 * (TEXTS + 1)];
    mm_status said[2 * (TEXTS + 1)];
    mm_error error;
    fuzz_assert(mm_encoder_new(tokenizer, &one, &error) == MM_OK &&
                mm_encoder_new(again, &two, &error) == MM_OK);
    for (int i = 0; i < 2 * (TEXTS + 1); i++)
        first[i] = encode(one, i / 2 < TEXTS ? text_of(i / 2) : last, i % 2, &said[i]);
    for (int i = 2 * (TEXTS + 1); i-- > 0;) {
        mm_status status;
        mm_ids ids = encode(two, i / 2 < TEXTS ? text_of(i / 2) : last, i % 2, &status);
        fuzz_assert(status == said[i]);
        if (!status) {
            fuzz_assert(ids.size == first[i].size);
            fuzz_assert(ids.size == 0 || memcmp(ids.data, first[i].data, ids.size * sizeof *ids.data) == 0);
            check_ids(tokenizer, &ids);
        }
        mm_ids_free(&ids);
        mm_ids_free(&first[i]);
    }
    mm_encoder_free(one);
    mm_encoder_free(two);
}

static void check_tokenizer(const mm_tokenizer *tokenizer, fuzz_piece file) {
    int vocab = mm_tokenizer_vocab(tokenizer);
    size_t size;
    fuzz_assert(mm_tokenizer_bos(tokenizer) < vocab && mm_tokenizer_eos(tokenizer) < vocab);
    fuzz_assert(!mm_tokenizer_bytes(tokenizer, -1, &size) && !mm_tokenizer_bytes(tokenizer, vocab, &size));
    fuzz_assert(memcmp(mm_tokenizer_file(tokenizer, &size), file.data, file.size) == 0 && size == file.size);
    (void)mm_tokenizer_cuttable(tokenizer);
    (void)mm_tokenizer_merges(tokenizer);
}

static void use(const char *path, fuzz_piece file, fuzz_piece text) {
    mm_error error;
    mm_tokenizer *tokenizer, *again;
    const char *what;
    mm_status status = mm_tokenizer_open(path, &tokenizer, &error);
    if (status) {
        fuzz_said(status, &error, "tokenizer");
        return;
    }
    check_tokenizer(tokenizer, file);
    fuzz_assert(mm_tokenizer_parse(file.data, file.size, name, &again, &error) == MM_OK);
    fuzz_assert(mm_tokenizer_same(tokenizer, again, &what));
    encode_texts(tokenizer, again, text);
    mm_tokenizer_close(tokenizer);
    mm_tokenizer_close(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_piece pieces[3];
    char path[FUZZ_PATH];
    fuzz_split(data, size, pieces, 3);
    if (!pieces[0].data) return 0;
    fuzz_put(name, pieces[0]);
    fuzz_put("tokenizer_config.json", pieces[2]);
    fuzz_memory_begin();
    use(fuzz_path(path, name), pieces[0], pieces[1]);
    fuzz_memory_end(MEMORY, MEMORY_FACTOR);
    return 0;
}
