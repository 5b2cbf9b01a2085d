// mm generate: text from a model directory.
#include "generate_config.h"
#include "generate_tokens.h"
#include "weights.h"
#include <limits.h>
#include <mm/record/checkpoint.h>
#include <stdlib.h>
#include <string.h>

typedef struct generate_session {
    const mm_generate_request *request;
    mm_generate_result *result;
    mm_tokenizer *tokenizer;
    mm_gemm *gemm;
    mm_config config;
    mm_model model;
    mm_arena weights;
    mm_decoder *decoder;
    mm_sampler *sampler;
    mm_characters characters;
    int64_t most; // ids in all
} generate_session;

static mm_status open_tokenizer(generate_session *s, mm_error *error) {
    char path[PATH_MAX];
    const char *model = s->request->model_path;
    mm_status status = mm_config_read(model, &s->config, error);
    if (!status) status = mm_generation_supported(model, s->request->sampling.temperature > 0, error);
    if (!status) status = mm_tokenizer_find(model, NULL, path, sizeof path, error);
    return status ? status : mm_tokenizer_open(path, &s->tokenizer, error);
}

// The token's text is shown to be typed, unless a shell or a terminal could take it for something else.
static mm_status refuse_empty(const generate_session *s, mm_error *error) {
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789<|>_-.[]/:=+@";
    int32_t bos = s->config.bos >= 0 ? s->config.bos : mm_tokenizer_bos(s->tokenizer);
    size_t size = 0;
    const char *name = bos >= 0 ? mm_tokenizer_bytes(s->tokenizer, bos, &size) : NULL;
    if (!name) return mm_trouble(error, "the prompt is empty, expected at least one token; give some text");
    for (size_t i = 0; i < size; i++)
        if (!name[i] || !strchr(safe, name[i]))
            return mm_trouble(error,
                              "the prompt is empty, expected at least one token; give some text (a document "
                              "begins with token %d of the tokenizer)",
                              bos);
    return mm_trouble(error,
                      "the prompt is empty, expected at least one token; --prompt '%.*s' begins a document",
                      (int)size, name);
}

// The prompt's ids, and room for those to come.
static mm_status encode_prompt(generate_session *s, mm_error *error) {
    const mm_generate_request *r = s->request;
    mm_ids *ids = &s->result->ids;
    mm_status status =
        mm_generation_prompt(s->tokenizer, s->config.vocab, r->prompt, r->prompt_size, ids, error);
    if (status) return status;
    if (ids->size == 0) return refuse_empty(s, error);
    int64_t count = (int64_t)ids->size, positions = s->result->positions = s->config.max_positions;
    if (count >= positions)
        return mm_trouble(error,
                          "the prompt has %lld tokens, expected fewer than the %lld positions of %s "
                          "(max_position_embeddings); shorten it",
                          (long long)count, (long long)positions, r->model_path);
    s->most = r->max_tokens < positions - count ? count + r->max_tokens : positions;
    if (mm_ids_reserve(ids, (size_t)(s->most - count), NULL))
        return mm_trouble(error, "%lld tokens: out of memory; use a smaller --max-tokens",
                          (long long)s->most);
    s->result->prompt_ids = ids->size;
    return MM_OK;
}

static mm_status open_model(generate_session *s, mm_error *error) {
    mm_isa isa;
    mm_status status = mm_isa_pick(&isa, error);
    if (!status) status = mm_gemm_open(isa, &s->gemm, error);
    if (!status)
        status = mm_weights_load(&s->model, &s->config, mm_kernels_for(isa), s->gemm, s->most,
                                 s->request->model_path, &s->weights, error);
    if (!status) status = mm_decoder_open(&s->model, s->most, s->request->workers, &s->decoder, error);
    if (!status) status = mm_sampler_open(&s->request->sampling, s->config.vocab, &s->sampler, error);
    return status;
}

// Hands over what has been added to the text since `from`.
static mm_status hand_over(const generate_session *s, size_t from, mm_error *error) {
    const mm_text *text = &s->result->text;
    if (text->failed) return mm_trouble(error, "generated text: out of memory");
    if (text->size == from || !s->request->write) return MM_OK;
    return s->request->write(s->request->self, text->data + from, text->size - from, error);
}

static mm_status take_token(void *self, int32_t id, mm_error *error) {
    generate_session *s = self;
    size_t from = s->result->text.size;
    mm_generation_text(s->tokenizer, id, &s->characters, &s->result->text);
    return hand_over(s, from, error);
}

static mm_status run_session(generate_session *s, mm_error *error) {
    const mm_generate_request *r = s->request;
    mm_generate_result *result = s->result;
    int32_t own = mm_tokenizer_eos(s->tokenizer); // where config.json names none; -1 is no token
    bool named = s->config.eos_count > 0;
    mm_generation g = {.decoder = s->decoder,
                       .sampler = s->sampler,
                       .workers = r->workers,
                       .ids = result->ids.data,
                       .count = (int64_t)result->ids.size,
                       .most = s->most,
                       .eos = named ? s->config.eos : &own,
                       .eos_count = named ? s->config.eos_count : 1,
                       .stop = r->stop,
                       .token = take_token,
                       .self = s};
    mm_status status = mm_generation_run(&g, error);
    result->ids.size = (size_t)g.count;
    result->end = g.end;
    if (g.end == MM_END_TOKENS && s->most - (int64_t)result->prompt_ids < r->max_tokens)
        result->end = MM_END_POSITIONS;
    result->prompt_seconds = g.prompt_seconds;
    result->seconds = g.seconds;
    size_t from = result->text.size;
    mm_characters_end(&s->characters, &result->text);
    mm_status handed = hand_over(s, from, status ? NULL : error);
    if (!status) status = handed;
    if (!status && g.end == MM_END_STOPPED && g.count == (int64_t)result->prompt_ids)
        return mm_fail(error, MM_INTERRUPTED, "stopped in the prompt, before a token was made");
    if (!status && g.end == MM_END_STOPPED)
        return mm_fail(error, MM_INTERRUPTED, "stopped after %lld tokens",
                       (long long)g.count - (long long)result->prompt_ids);
    return status;
}

static void close_session(generate_session *s) {
    mm_sampler_close(s->sampler);
    mm_decoder_close(s->decoder);
    mm_model_close(&s->model);
    mm_arena_close(&s->weights);
    mm_gemm_close(s->gemm);
    mm_tokenizer_close(s->tokenizer);
}

mm_status mm_generate(const mm_generate_request *request, mm_generate_result *result, mm_error *error) {
    generate_session s = {.request = request, .result = result};
    *result = (mm_generate_result){0};
    mm_status status = open_tokenizer(&s, error);
    if (!status) status = encode_prompt(&s, error);
    if (!status) status = open_model(&s, error);
    if (!status) status = run_session(&s, error);
    close_session(&s);
    return status;
}

void mm_generate_result_free(mm_generate_result *result) {
    mm_ids_free(&result->ids);
    mm_text_free(&result->text);
    *result = (mm_generate_result){0};
}
