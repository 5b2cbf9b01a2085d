// Whether a model and a dataset speak of the same tokens.
#ifndef MM_SRC_TOKENIZERS_H
#define MM_SRC_TOKENIZERS_H

#include <mm/data/dataset.h>
#include <mm/data/tokenizer.h>
#include <mm/model/config.h>

// Trouble that names both if the data hold a token that the model does not have; the tokenizer may know more,
// such as a pad token for which a fine-tuned model was never resized. `tokenizer` is the dataset's; `model`
// and `data` are what messages call them. See mm_dataset_fit.
MM_CHECKED mm_status mm_tokenizers_fit(const mm_config *config, const char *model, const char *data,
                                       mm_dataset *dataset, const mm_tokenizer *tokenizer, mm_error *error);
// Trouble that names both if the model's tokenizer (where there is one beside it) is not the dataset's.
MM_CHECKED mm_status mm_tokenizers_check_same(const char *model_path, const char *data,
                                              const mm_tokenizer *tokenizer, mm_error *error);

// tokenizer_config.json's text: transformers' AutoTokenizer needs it beside tokenizer.json, or takes a class
// by the model's kind that cuts text in its own way. A token that is -1 is left out; pad is the
// configuration's. An empty chat template is none.
void mm_tokenizers_config(const mm_tokenizer *tokenizer, int32_t bos, int32_t eos, const mm_config *config,
                          const mm_text *chat_template, mm_text *out);
// The chat template of a model's folder in place of what *out holds: chat_template.jinja, or that of
// tokenizer_config.json (of several the one named "default"); empty if there is none.
MM_CHECKED mm_status mm_tokenizers_template(const char *folder, mm_text *out, mm_error *error);

#endif
