// What generation_config.json asks for that mm generate does not do.
#ifndef MM_SRC_GENERATE_CONFIG_H
#define MM_SRC_GENERATE_CONFIG_H

#include <mm/base/status.h>
#include <stdbool.h>

// Trouble that names the first setting of FOLDER/generation_config.json that would have transformers choose
// other tokens and is not supported; those that matter where tokens are drawn only count if `drawn`.
MM_CHECKED mm_status mm_generation_supported(const char *folder, bool drawn, mm_error *error);

#endif
