// --data FILE: a tokenizer is trained on the text, and the text packed with it.
#include <mm/data/pack.h>
#include <mm/data/tokenizer_train.h>
#include <mm/run/prepare.h>
#include <string.h>

typedef struct watcher {
    void (*progress)(void *self, const char *what, double share);
    void *self;
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

static mm_status count_words(mm_tokenizer_trainer *trainer, mm_text_source *source, const watcher *w,
                             mm_error *error) {
    for (;;) {
        const char *text;
        size_t size;
        bool more;
        mm_status status = mm_text_next(source, &text, &size, &more, error);
        if (status || !more) return status;
        status = mm_tokenizer_trainer_add(trainer, text, size, error);
        if (status) return status;
        uint64_t done, total;
        mm_text_progress(source, &done, &total);
        tell(w, "counting words", total ? (double)done / (double)total : -1);
    }
}

static mm_status train_tokenizer(mm_text_source *source, int vocab, watcher *w, mm_tokenizer **tokenizer,
                                 mm_error *error) {
    mm_tokenizer_trainer *trainer;
    mm_status status = mm_tokenizer_trainer_new(&trainer, error);
    if (status) return status;
    mm_text json = {0};
    status = count_words(trainer, source, w, error);
    if (!status) status = mm_tokenizer_trainer_fit(trainer, vocab, &json, merging, w, error);
    if (!status)
        status = mm_tokenizer_parse(json.data, json.size, "the tokenizer just trained", tokenizer, error);
    if (!status) status = mm_text_rewind(source, error);
    mm_text_free(&json);
    mm_tokenizer_trainer_free(trainer);
    return status;
}

mm_status mm_prepare_text(const char *input, const char *tokenizer_path, int vocab, const char *out,
                          void (*progress)(void *self, const char *what, double share), void *self,
                          mm_error *error) {
    watcher w = {progress, self};
    mm_text_source *source = NULL;
    mm_tokenizer *tokenizer = NULL;
    mm_text_options plain = {0};
    mm_status status = mm_text_open(&input, 1, &plain, &source, error);
    if (!status)
        status = tokenizer_path ? mm_tokenizer_open(tokenizer_path, &tokenizer, error)
                                : train_tokenizer(source, vocab, &w, &tokenizer, error);
    mm_pack_options options = {.progress = packing, .self = &w};
    mm_pack_result result;
    if (!status) status = mm_pack(out, source, tokenizer, &options, &result, error);
    mm_tokenizer_close(tokenizer);
    mm_text_close(source);
    return status;
}
