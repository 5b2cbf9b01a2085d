#include "tokenizer_train_merge.h"

#include "bpe_hash.h"
#include "tokenizer_train_pairs.h"

#include <assert.h>
#include <stdlib.h>

typedef struct learning {
    const mm_word_counts *words;
    int32_t *symbols; // of all words, each in the room of its bytes
    size_t *lengths;  // symbols left of each word
    mm_pairs pairs;
    mm_vocab *vocab;
    mm_text spelling;
    mm_learned_merge *merges;
    size_t merge_count, merge_capacity;
    const volatile sig_atomic_t *stop; // may be NULL
} learning;

static bool stopped(const learning *l) {
    return l->stop && *l->stop;
}

static size_t word_start(const mm_word_counts *words, size_t word) {
    return word ? words->ends[word - 1] : 0;
}

static bool begin(learning *l, const int32_t byte_ids[256]) {
    const mm_word_counts *words = l->words;
    size_t bytes = word_start(words, words->count);
    l->symbols = malloc((bytes + 1) * sizeof *l->symbols);
    l->lengths = malloc((words->count + 1) * sizeof *l->lengths);
    if (!l->symbols || !l->lengths) return false;
    for (size_t i = 0; i < bytes; i++) l->symbols[i] = byte_ids[(unsigned char)words->pool.data[i]];
    for (size_t word = 0; word < words->count && !stopped(l); word++) {
        size_t start = word_start(words, word), end = words->ends[word];
        l->lengths[word] = end - start;
        for (size_t i = start; i + 1 < end; i++)
            mm_pairs_more(&l->pairs, l->symbols[i], l->symbols[i + 1], (int64_t)words->counts[word],
                          (uint32_t)word);
    }
    mm_pairs_settle(&l->pairs);
    return !l->pairs.failed;
}

// Replaces each first, second of the word by `made`, from left to right, and counts the pairs that go and
// come.
static void merge_in_word(learning *l, uint32_t word, int32_t first, int32_t second, int32_t made) {
    int32_t *symbols = l->symbols + word_start(l->words, word);
    int64_t times = (int64_t)l->words->counts[word];
    size_t n = l->lengths[word], out = 0;
    for (size_t i = 0; i < n;) {
        if (symbols[i] != first || i + 1 == n || symbols[i + 1] != second) {
            symbols[out++] = symbols[i++];
            continue;
        }
        mm_pairs_less(&l->pairs, first, second, times);
        if (out) {
            mm_pairs_less(&l->pairs, symbols[out - 1], first, times);
            mm_pairs_more(&l->pairs, symbols[out - 1], made, times, word);
        }
        if (i + 2 < n) {
            mm_pairs_less(&l->pairs, second, symbols[i + 2], times);
            mm_pairs_more(&l->pairs, made, symbols[i + 2], times, word);
        }
        symbols[out++] = made;
        i += 2;
    }
    l->lengths[word] = out;
}

// The token that the pair makes: a new one, or one that is there already.
static int32_t token_of(learning *l, int32_t first, int32_t second) {
    mm_text_clear(&l->spelling);
    int32_t halves[2] = {first, second};
    for (int i = 0; i < 2; i++) {
        size_t size;
        const char *text = mm_vocab_text(l->vocab, halves[i], &size);
        mm_text_add(&l->spelling, text, size);
    }
    if (l->spelling.failed) return -1;
    int32_t found = mm_vocab_find(l->vocab, l->spelling.data, l->spelling.size);
    if (found >= 0) return found;
    int32_t id = l->vocab->count;
    mm_vocab_added added = mm_vocab_add(l->vocab, l->spelling.data, l->spelling.size, id);
    assert(added == MM_VOCAB_ADDED);
    (void)added;
    return l->vocab->pool.failed ? -1 : id;
}

static bool note_merge(learning *l, int32_t first, int32_t second) {
    if (l->merge_count == l->merge_capacity) {
        size_t capacity = l->merge_capacity ? 2 * l->merge_capacity : 1024;
        mm_learned_merge *merges = realloc(l->merges, capacity * sizeof *merges);
        if (!merges) return false;
        l->merges = merges;
        l->merge_capacity = capacity;
    }
    l->merges[l->merge_count++] = (mm_learned_merge){first, second};
    return true;
}

// One merge; *more false where no pair is left. False if memory is out.
static bool merge_best(learning *l, bool *more) {
    mm_pair *best = mm_pairs_take(&l->pairs);
    *more = best != NULL;
    if (!best) return !l->pairs.failed;
    int32_t first = mm_pair_first(best->key), second = mm_pair_second(best->key);
    uint32_t *words = best->words, count = best->word_count;
    best->words = NULL;
    best->word_count = best->word_capacity = 0;
    int32_t made = token_of(l, first, second);
    bool good = made >= 0 && note_merge(l, first, second);
    for (uint32_t i = 0; good && i < count && !stopped(l); i++)
        merge_in_word(l, words[i], first, second, made);
    free(words);
    mm_pairs_settle(&l->pairs);
    return good && !l->pairs.failed;
}

mm_status mm_learn_merges(const mm_word_counts *words, const char *name, const int32_t byte_ids[256],
                          int32_t wanted, bool exactly, mm_vocab *vocab, mm_learned_merge **merges,
                          size_t *count, const volatile sig_atomic_t *stop,
                          void (*progress)(void *self, long done, long wanted), void *self, mm_error *error) {
    learning l = {.words = words, .vocab = vocab, .stop = stop};
    int32_t at_first = vocab->count;
    bool more = true, good = begin(&l, byte_ids);
    while (good && more && vocab->count < wanted && !stopped(&l)) {
        good = merge_best(&l, &more);
        if (progress && l.merge_count % 64 == 0) progress(self, vocab->count - at_first, wanted - at_first);
    }
    if (good && progress) progress(self, vocab->count - at_first, wanted - at_first);
    mm_pairs_free(&l.pairs);
    mm_text_free(&l.spelling);
    free(l.symbols);
    free(l.lengths);
    *merges = l.merges;
    *count = l.merge_count;
    bool interrupted = stopped(&l);
    if (good && !interrupted && (vocab->count == wanted || !exactly)) return MM_OK;
    free(l.merges);
    *merges = NULL;
    if (interrupted) return mm_fail(error, MM_INTERRUPTED, "interrupted; nothing was kept");
    if (!good)
        return mm_trouble(error, "%s: out of memory learning merges from %zu words", name, words->count);
    return mm_trouble(
        error,
        "%s: too little text for a vocabulary of %d: it gives %d merges, so at most %d entries; "
        "give more text or a smaller vocabulary",
        name, wanted, vocab->count - at_first, vocab->count);
}
