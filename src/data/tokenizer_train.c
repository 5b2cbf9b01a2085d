#include <mm/data/tokenizer_train.h>

#include "bpe_vocab.h"
#include "text_batch.h"
#include "tokenizer_train_count.h"
#include "tokenizer_train_write.h"
#include "tokenizer_utf8.h"

#include <assert.h>
#include <mm/base/par.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct mm_tokenizer_trainer {
    mm_pretokenizer *pretokenizer;
    mm_added_set specials;
    mm_word_counter counter; // has all words, but while the reading below goes on
    char *name;              // of the source read; NULL: none was
};

static mm_status open_trainer(mm_tokenizer_trainer *t, mm_error *error) {
    mm_status status = mm_pretokenizer_gpt2(&t->pretokenizer, error);
    if (status != MM_OK) return status;
    mm_added_token *tokens = calloc(MM_TRAINED_SPECIALS, sizeof *tokens);
    if (!tokens) return mm_trouble(error, "training a tokenizer: out of memory");
    for (int i = 0; i < MM_TRAINED_SPECIALS; i++) {
        const char *content = mm_trained_specials[i];
        tokens[i] = (mm_added_token){.content = content, .size = strlen(content), .id = i, .special = true};
    }
    status = mm_added_index(&t->specials, tokens, MM_TRAINED_SPECIALS, "the trained tokenizer", error);
    if (status != MM_OK) return status;
    return mm_word_counter_begin(&t->counter, t->pretokenizer, &t->specials, error);
}

mm_status mm_tokenizer_trainer_new(mm_tokenizer_trainer **trainer, mm_error *error) {
    *trainer = NULL;
    mm_tokenizer_trainer *made = calloc(1, sizeof *made);
    if (!made) return mm_trouble(error, "training a tokenizer: out of memory");
    mm_status status = open_trainer(made, error);
    if (status != MM_OK) {
        mm_tokenizer_trainer_free(made);
        return status;
    }
    *trainer = made;
    return MM_OK;
}

void mm_tokenizer_trainer_free(mm_tokenizer_trainer *trainer) {
    if (!trainer) return;
    mm_word_counter_free(&trainer->counter);
    mm_pretokenizer_free(trainer->pretokenizer);
    mm_added_free(&trainer->specials);
    free(trainer->name);
    free(trainer);
}

mm_status mm_tokenizer_trainer_add(mm_tokenizer_trainer *trainer, const char *text, size_t size,
                                   mm_error *error) {
    return mm_word_counter_add(&trainer->counter, text, size, error);
}

// --- reading: in each round one worker reads a batch, and all count the one before

typedef struct counting_worker {
    mm_word_counter counter;
    mm_status status;
    mm_error error;
} counting_worker;

typedef struct counting {
    mm_piece_source pieces;
    size_t batch_bytes;
    mm_text_batch batches[2], *reading, *counted; // each is one of the two
    bool more;
    atomic_size_t next; // task: 0 reads, task u + 1 counts unit u
    counting_worker *workers;
} counting;

static mm_status next_piece(void *self, size_t most, const char **text, size_t *size, bool *ends, bool *more,
                            mm_error *error) {
    return mm_text_next_piece(self, most, text, size, ends, more, error);
}

static mm_status do_task(counting *c, size_t task, counting_worker *worker) {
    if (!task)
        return c->more
                   ? mm_text_batch_fill(c->reading, &c->pieces, c->batch_bytes, UINT64_MAX, &worker->error)
                   : MM_OK;
    const mm_text_batch *batch = c->counted;
    mm_status status = MM_OK;
    for (size_t p = batch->units[task - 1]; p < batch->units[task] && !status; p++) {
        const mm_text_part *part = &batch->parts[p];
        if (part->size)
            status = mm_word_counter_add(&worker->counter, batch->text.data + part->start, part->size,
                                         &worker->error);
    }
    return status;
}

static void work(void *self, int number) {
    counting *c = self;
    counting_worker *worker = &c->workers[number];
    size_t tasks = 1 + c->counted->unit_count;
    for (size_t task; !worker->status && (task = atomic_fetch_add(&c->next, 1)) < tasks;)
        worker->status = do_task(c, task, worker);
}

static mm_status run_round(counting *c, int workers, uint64_t *text_bytes, mm_error *error) {
    atomic_store(&c->next, 0);
    mm_par_run(workers, work, c);
    for (int w = 0; w < workers; w++) {
        if (!c->workers[w].status) continue;
        if (error) *error = c->workers[w].error;
        return c->workers[w].status;
    }
    mm_text_batch *counted = c->counted;
    c->counted = c->reading;
    c->reading = counted;
    c->reading->count = c->reading->unit_count = 0;
    *text_bytes += c->counted->unit_count ? c->counted->text.size : 0;
    c->more = c->more && c->counted->more;
    return MM_OK;
}

static mm_status count_all(counting *c, int workers, mm_text_source *source,
                           const volatile sig_atomic_t *stop, uint64_t *text_bytes,
                           void (*progress)(void *self, uint64_t done, uint64_t total), void *self,
                           mm_error *error) {
    mm_status status = MM_OK;
    while (!status && (c->more || c->counted->unit_count)) {
        status = run_round(c, workers, text_bytes, error);
        uint64_t done, total;
        mm_text_progress(source, &done, &total);
        if (!status && progress) progress(self, done, total);
        if (!status && stop && *stop)
            status = mm_fail(error, MM_INTERRUPTED, "interrupted; nothing was kept");
    }
    return status;
}

mm_status mm_tokenizer_trainer_read(mm_tokenizer_trainer *trainer, mm_text_source *source, int workers,
                                    const volatile sig_atomic_t *stop, uint64_t *text_bytes,
                                    void (*progress)(void *self, uint64_t done, uint64_t total), void *self,
                                    mm_error *error) {
    assert(workers >= 0);
    *text_bytes = 0;
    if (!workers) workers = mm_par_cores();
    counting c = {.pieces = {next_piece, source, mm_pretokenizer_cuttable(trainer->pretokenizer)},
                  .more = true};
    c.batch_bytes = (size_t)workers * MM_TEXT_BATCH_FOR_EACH;
    c.reading = &c.batches[0];
    c.counted = &c.batches[1];
    c.workers = calloc((size_t)workers, sizeof *c.workers);
    free(trainer->name);
    trainer->name = strdup(mm_text_name(source));
    mm_status status =
        c.workers && trainer->name ? MM_OK : mm_trouble(error, "%d workers: out of memory", workers);
    for (int w = 0; w < workers && !status; w++)
        status =
            mm_word_counter_begin(&c.workers[w].counter, trainer->pretokenizer, &trainer->specials, error);
    if (!status) status = count_all(&c, workers, source, stop, text_bytes, progress, self, error);
    for (int w = 0; c.workers && w < workers; w++) {
        if (!status) status = mm_word_counter_merge(&trainer->counter, &c.workers[w].counter, error);
        mm_word_counter_free(&c.workers[w].counter);
    }
    free(c.workers);
    mm_text_batch_free(&c.batches[0]);
    mm_text_batch_free(&c.batches[1]);
    return status;
}

// The special tokens, then the byte symbols in the order of their characters, as the library's trainer has
// them.
static void add_alphabet(mm_vocab *vocab, int32_t byte_ids[256]) {
    int32_t id = 0;
    for (; id < MM_TRAINED_SPECIALS; id++)
        (void)mm_vocab_add(vocab, mm_trained_specials[id], strlen(mm_trained_specials[id]), id);
    for (int byte = 0; byte < 256; byte++) {
        int32_t place = MM_TRAINED_SPECIALS;
        for (int other = 0; other < 256; other++)
            place += mm_byte_point((unsigned char)other) < mm_byte_point((unsigned char)byte);
        char symbol[2];
        size_t size = mm_byte_symbol((unsigned char)byte, symbol);
        (void)mm_vocab_add(vocab, symbol, size, place);
        byte_ids[byte] = place;
    }
}

static mm_status finish(mm_tokenizer_trainer *trainer, int vocab_size, bool exactly, mm_text *out,
                        const volatile sig_atomic_t *stop,
                        void (*progress)(void *self, long done, long wanted), void *self, mm_error *error) {
    if (vocab_size < MM_TRAINED_SPECIALS + 256)
        return mm_trouble(error,
                          "a vocabulary of %d: at least %d are needed (%d special tokens and 256 bytes)",
                          vocab_size, MM_TRAINED_SPECIALS + 256, MM_TRAINED_SPECIALS);
    mm_vocab vocab;
    if (!mm_vocab_make(&vocab, (size_t)vocab_size, vocab_size))
        return mm_trouble(error, "a vocabulary of %d: out of memory", vocab_size);
    int32_t byte_ids[256];
    add_alphabet(&vocab, byte_ids);
    mm_learned_merge *merges = NULL;
    size_t count = 0;
    mm_status status =
        mm_learn_merges(&trainer->counter.words, trainer->name ? trainer->name : "the text", byte_ids,
                        vocab_size, exactly, &vocab, &merges, &count, stop, progress, self, error);
    if (status == MM_OK) status = mm_trained_write(&vocab, merges, count, out, error);
    free(merges);
    mm_vocab_free(&vocab);
    return status;
}

mm_status mm_tokenizer_trainer_finish(mm_tokenizer_trainer *trainer, int vocab_size, mm_text *out,
                                      const volatile sig_atomic_t *stop,
                                      void (*progress)(void *self, long done, long wanted), void *self,
                                      mm_error *error) {
    return finish(trainer, vocab_size, true, out, stop, progress, self, error);
}

mm_status mm_tokenizer_trainer_fit(mm_tokenizer_trainer *trainer, int most, mm_text *out,
                                   const volatile sig_atomic_t *stop,
                                   void (*progress)(void *self, long done, long wanted), void *self,
                                   mm_error *error) {
    return finish(trainer, most, false, out, stop, progress, self, error);
}
