// config.json, with generation_config.json beside it: what is read of it is written so that it reads as the
// same.
#include "fuzz.h"

#include "../../src/generate_config.h"
#include <mm/base/text.h>
#include <mm/model/config.h>
#include <mm/run/generate.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY = 1 << 16, MEMORY_FACTOR = 200 };

static bool same(const mm_config *a, const mm_config *b) {
    return a->kind == b->kind && a->vocab == b->vocab && a->hidden == b->hidden && a->layers == b->layers &&
           a->heads == b->heads && a->kv_heads == b->kv_heads && a->head_dim == b->head_dim &&
           a->intermediate == b->intermediate && a->tied == b->tied &&
           a->attention_bias == b->attention_bias &&
           memcmp(&a->rms_norm_eps, &b->rms_norm_eps, sizeof(double)) == 0 &&
           memcmp(&a->rope_theta, &b->rope_theta, sizeof(double)) == 0 &&
           a->max_positions == b->max_positions && a->bos == b->bos && a->pad == b->pad &&
           a->eos_count == b->eos_count && memcmp(a->eos, b->eos, (size_t)a->eos_count * sizeof *a->eos) == 0;
}

static void check_bounds(const mm_config *c) {
    fuzz_assert(c->vocab >= 1 && c->hidden >= 1 && c->layers >= 1 && c->intermediate >= 1);
    fuzz_assert(c->heads >= 1 && c->kv_heads >= 1 && c->heads % c->kv_heads == 0);
    fuzz_assert(c->head_dim >= 2 && c->head_dim % 2 == 0);
    fuzz_assert(c->bos >= -1 && c->bos < c->vocab && c->pad >= -1 && c->pad < c->vocab);
    fuzz_assert(c->eos_count >= 0 && c->eos_count <= MM_EOS_MOST);
    for (int i = 0; i < c->eos_count; i++) fuzz_assert(c->eos[i] >= 0 && c->eos[i] < c->vocab);
}

static void read_again(const mm_config *config) {
    mm_error error;
    mm_config again;
    mm_text text = {0};
    mm_config_write(config, MM_F32, &text);
    fuzz_assert(!text.failed);
    if (mm_config_parse(text.data, text.size, "written", &again, &error))
        fuzz_said(MM_OK, &error, "no trouble");
    fuzz_assert(same(config, &again));
    mm_text_free(&text);
}

static void check_sampling(const char *folder) {
    mm_error error;
    mm_sampling s = {.temperature = -1, .top_k = -1, .top_p = -1, .repetition_penalty = -1};
    int64_t most = 0;
    mm_status status = mm_sampling_complete(folder, false, &s, &most, &error);
    if (status) {
        fuzz_said(status, &error, "generation_config.json");
        return;
    }
    fuzz_assert(s.temperature >= 0 && s.top_k >= 0 && s.top_p >= 0 && s.top_p <= 1 && most >= 1);
    fuzz_assert(s.repetition_penalty >= MM_PENALTY_LEAST && s.repetition_penalty <= MM_PENALTY_MOST);
    for (int drawn = 0; drawn < 2; drawn++) {
        status = mm_generation_supported(folder, drawn, &error);
        if (status) fuzz_said(status, &error, "generation_config.json");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_piece pieces[2];
    char folder[FUZZ_PATH];
    mm_error error;
    mm_config config;
    fuzz_split(data, size, pieces, 2);
    fuzz_put("config.json", pieces[0]);
    fuzz_put("generation_config.json", pieces[1]);
    fuzz_path(folder, ".");
    fuzz_memory_begin();
    mm_status status = mm_config_read(folder, &config, &error);
    check_sampling(folder);
    fuzz_memory_end(MEMORY, MEMORY_FACTOR);
    if (status) {
        fuzz_said(status, &error, "config.json");
        return 0;
    }
    check_bounds(&config);
    read_again(&config);
    return 0;
}
