#include "generate_tokens.h"
#include <assert.h>
#include <mm/base/clock.h>

typedef struct generation_run {
    mm_generation *g;
    bool going; // worker 0's word to the others, between two waits of the team
    double began;
    mm_status status;
    mm_error *error;
} generation_run;

static bool is_eos(const mm_generation *g, int32_t id) {
    for (int i = 0; i < g->eos_count; i++)
        if (g->eos[i] == id) return true;
    return false;
}

static bool goes_on(const mm_generation *g) {
    return !g->stop || !*g->stop;
}

// Worker 0's work between two tokens. Is there another?
static bool next_token(generation_run *r, const float *logits) {
    mm_generation *g = r->g;
    int32_t id;
    r->status = mm_sampler_draw(g->sampler, logits, g->ids, g->count, &id, r->error);
    double now = mm_clock_seconds();
    if (g->prompt_seconds < 0) {
        g->prompt_seconds = now - r->began;
        r->began = now;
    }
    g->seconds = now - r->began;
    if (r->status) return false;
    g->end = MM_END_EOS;
    if (is_eos(g, id)) return false;
    g->ids[g->count++] = id;
    if (g->token) r->status = g->token(g->self, id, r->error);
    g->end = MM_END_TOKENS;
    if (r->status || g->count == g->most) return false;
    g->end = MM_END_STOPPED;
    return goes_on(g);
}

// What follows `position` and goes through the model together. The whole prompt in one call would be cut at
// the same places, so its bits are the same; cut here, it can be left off between them.
static int64_t together(int64_t position, int64_t count) {
    return count - position < MM_DECODE_ROWS ? count - position : MM_DECODE_ROWS;
}

static void work_on_tokens(void *self, const mm_team *team, int worker) {
    generation_run *r = self;
    mm_generation *g = r->g;
    int64_t position = 0, prompt = g->count;
    do {
        int64_t count = position < prompt ? together(position, prompt) : 1;
        const float *logits = mm_decoder_run(g->decoder, team, worker, position, g->ids + position, count);
        position += count;
        if (worker == 0) r->going = position < prompt ? goes_on(g) : next_token(r, logits);
        mm_team_wait(team);
    } while (r->going);
}

mm_status mm_generation_run(mm_generation *g, mm_error *error) {
    assert(g->count >= 1 && g->count < g->most);
    g->prompt_seconds = -1;
    g->end = MM_END_STOPPED;
    generation_run run = {.g = g, .began = mm_clock_seconds(), .error = error};
    mm_par_team(g->workers, work_on_tokens, &run);
    return run.status;
}

mm_status mm_generation_prompt(const mm_tokenizer *tokenizer, int vocab, const char *prompt, size_t size,
                               mm_ids *ids, mm_error *error) {
    mm_encoder *encoder;
    mm_status status = mm_encoder_new(tokenizer, &encoder, error);
    if (status) return status;
    status = mm_encode(encoder, prompt, size, false, ids, error);
    mm_encoder_free(encoder);
    for (size_t i = 0; !status && i < ids->size; i++) {
        size_t length = 0;
        const char *text = mm_tokenizer_bytes(tokenizer, ids->data[i], &length);
        if (ids->data[i] >= vocab)
            status =
                mm_trouble(error,
                           "the prompt holds token %d (%.*s) of %s, but the model has a vocabulary of %d; "
                           "leave it out",
                           ids->data[i], (int)(length < 64 ? length : 64), text ? text : "",
                           mm_tokenizer_name(tokenizer), vocab);
    }
    return status;
}

void mm_generation_text(const mm_tokenizer *tokenizer, int32_t id, mm_characters *characters, mm_text *out) {
    if (id >= mm_tokenizer_vocab(tokenizer) || mm_tokenizer_is_special(tokenizer, id)) return;
    size_t size;
    const char *bytes = mm_tokenizer_bytes(tokenizer, id, &size);
    if (bytes) mm_characters_add(characters, bytes, size, out);
}
