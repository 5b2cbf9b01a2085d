// What mm inspect says of each kind of thing: for people, or as one JSON object on a line.
#ifndef MM_TOOLS_INSPECT_H
#define MM_TOOLS_INSPECT_H

#include <mm/base/status.h>
#include <mm/base/text.h>
#include <mm/files/json.h>
#include <mm/files/safetensors.h>
#include <stdbool.h>

MM_CHECKED mm_status inspect_dataset(mm_text *out, const char *path, bool json, bool check, mm_error *error);
MM_CHECKED mm_status inspect_run(mm_text *out, const char *path, bool json, mm_error *error);
// A folder with config.json; with state.json it is a checkpoint.
MM_CHECKED mm_status inspect_model(mm_text *out, const char *path, bool json, mm_error *error);
MM_CHECKED mm_status inspect_weights(mm_text *out, const char *path, bool json, mm_error *error);
MM_CHECKED mm_status inspect_tokenizer(mm_text *out, const char *path, bool json, mm_error *error);

// Trouble names what add_shape would show and is no string or integer.
MM_CHECKED mm_status check_shape(const mm_json_document *config, mm_error *error);
// The shape that a config.json names, on one line; "?" for what it leaves out.
void add_shape(mm_text *out, const mm_json *config);

#endif
