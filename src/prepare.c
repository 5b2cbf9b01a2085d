// --data FILE: a tokenizer is trained on the text, and the text packed with it.
#include <mm/base/par.h>
#include <mm/data/pack.h>
#include <mm/data/tokenizer_train.h>
#include <mm/run/prepare.h>

typedef struct watcher {
    void (*progress)(void *self, const char *what, double share);
    void *self;
    const volatile sig_atomic_t *stop;
} watcher;

static void tell(const watcher *w, const char *what, double share) {
    if (w->progress) w->progress(w->self, what, share);
}

static void merging(void *self, long done, long wanted) {
    tell(self, "training a tokenizer", wanted ? (double)done / (double)wanted : -1);
}

static void packing(void *self, uint64_t done, uint64_t total, uint64_t documents, uint64_t tokens) {
    (void)documents;
    (void)tokens;
    tell(self, "packing", total ? (double)done / (double)total : -1);
}

static void counting(void *self, uint64_t done, uint64_t total) {
    tell(self, "counting words", total ? (double)done / (double)total : -1);
}

static mm_status train_tokenizer(mm_text_source *source, int vocab, watcher *w, mm_tokenizer **tokenizer,
                                 mm_error *error) {
    mm_tokenizer_trainer *trainer;
    mm_status status = mm_tokenizer_trainer_new(&trainer, error);
    if (status) return status;
    mm_text json = {0};
    uint64_t bytes;
    status = mm_tokenizer_trainer_read(trainer, source, 0, w->stop, &bytes, counting, w, error);
    if (!status) status = mm_tokenizer_trainer_fit(trainer, vocab, &json, w->stop, merging, w, error);
    if (!status)
        status = mm_tokenizer_parse(json.data, json.size, "the tokenizer just trained", tokenizer, error);
    if (!status) status = mm_text_rewind(source, error);
    mm_text_free(&json);
    mm_tokenizer_trainer_free(trainer);
    return status;
}

// Text is read once for a tokenizer and once to be packed. Said before a pipe has been emptied for nothing.
static mm_status check_twice(const mm_text_source *source, mm_error *error) {
    if (mm_text_can_rewind(source)) return MM_OK;
    return mm_trouble(
        error,
        "%s: found a pipe, expected files, which can be read twice: a tokenizer is trained on the "
        "text before it is packed; write it to a file, or pack it with a tokenizer that you have "
        "(mm pack --tokenizer F --out DIR) and name that dataset",
        mm_text_name(source));
}

mm_status mm_prepare_text(const char *input, const char *tokenizer_path, int vocab, const char *out,
                          void (*progress)(void *self, const char *what, double share), void *self,
                          const volatile sig_atomic_t *stop, mm_error *error) {
    watcher w = {progress, self, stop};
    mm_text_source *source = NULL;
    mm_tokenizer *tokenizer = NULL;
    mm_text_options plain = {.stop = stop};
    mm_status status = mm_text_open(&input, 1, &plain, &source, error);
    if (!status && !tokenizer_path) status = check_twice(source, error);
    if (!status)
        status = tokenizer_path ? mm_tokenizer_open(tokenizer_path, &tokenizer, error)
                                : train_tokenizer(source, vocab, &w, &tokenizer, error);
    mm_pack_options options = {.stop = stop, .progress = packing, .self = &w};
    mm_pack_result result;
    if (!status) status = mm_pack(out, source, tokenizer, &options, &result, error);
    mm_tokenizer_close(tokenizer);
    mm_text_close(source);
    mm_par_let_go();
    if (status == MM_INTERRUPTED)
        return mm_fail(error, status, "stopped while packing %s; nothing was kept", input);
    return status;
}
