// Whether a model and a dataset speak of the same tokens.
#ifndef MM_SRC_TOKENIZERS_H
#define MM_SRC_TOKENIZERS_H

#include <mm/data/dataset.h>
#include <mm/data/tokenizer.h>
#include <mm/model/config.h>

// Trouble that names both paths if the model's tokenizer (where there is one beside it) is not the dataset's,
// or if the model has fewer tokens than the dataset. `tokenizer` is the dataset's.
MM_CHECKED mm_status mm_tokenizers_check(const char *model_path, const mm_config *config,
                                         const char *data_path, const mm_dataset *dataset,
                                         const mm_tokenizer *tokenizer, mm_error *error);

// tokenizer_config.json's text: transformers' AutoTokenizer needs it beside tokenizer.json, or takes a class
// by the model's kind that cuts text in its own way. A token that is -1 is left out; pad is the
// configuration's.
void mm_tokenizers_config(const mm_tokenizer *tokenizer, int32_t bos, int32_t eos, const mm_config *config,
                          mm_text *out);

#endif
