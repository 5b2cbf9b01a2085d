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

#endif
