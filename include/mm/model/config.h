// What a model is made of: Hugging Face's config.json of the qwen3 and llama kinds, and the presets of
// MiniMind.
#ifndef MM_MODEL_CONFIG_H
#define MM_MODEL_CONFIG_H

#include <mm/base/status.h>
#include <mm/base/tensor.h>
#include <mm/base/text.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum mm_model_kind {
    MM_MODEL_QWEN3, // RMSNorm on each head's q and k
    MM_MODEL_LLAMA  // none
} mm_model_kind;

enum { MM_EOS_MOST = 16 };

typedef struct mm_config {
    mm_model_kind kind;
    int vocab, hidden, layers, heads, kv_heads, head_dim, intermediate;
    bool tied;           // the output's weights are the embedding's
    bool attention_bias; // on q, k, v and o
    double rms_norm_eps, rope_theta;
    int64_t max_positions;
    int32_t bos, pad;         // -1: none
    int eos_count;            // at most MM_EOS_MOST
    int32_t eos[MM_EOS_MOST]; // each of them ends a text
} mm_config;

// "tiny", "small", "minimind-3"; trouble lists them.
MM_CHECKED mm_status mm_config_preset(const char *name, mm_config *config, mm_error *error);
// The learning rate and warm-up that a preset takes instead of the general defaults.
void mm_config_preset_training(const char *name, double *lr, int64_t *warmup);

// config.json of transformers 4 and 5: that of a model's folder, or text that `name` stands for in messages.
// Whatever changes the arithmetic and is not supported is refused by name; what is absent is what
// transformers takes it for. What matters in training only (attention_dropout) is the caller's. Of a folder,
// eos is that of generation_config.json if that names one, as when transformers generates, and an adapter
// beside the model (adapter_config.json) is refused.
MM_CHECKED mm_status mm_config_read(const char *folder, mm_config *config, mm_error *error);
MM_CHECKED mm_status mm_config_parse(const char *text, size_t size, const char *name, mm_config *config,
                                     mm_error *error);
// config.json's text, with everything that a reader would otherwise guess; `type` is that of the weights:
// MM_F32, MM_F16 or MM_BF16.
void mm_config_write(const mm_config *config, mm_type type, mm_text *out);
// "qwen3" or "llama".
const char *mm_model_kind_name(mm_model_kind kind);

#endif
