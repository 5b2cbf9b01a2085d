// run.json's text, written and read. Private to this folder.
#ifndef MM_RECORD_RUN_JSON_H
#define MM_RECORD_RUN_JSON_H

#include <mm/base/text.h>
#include <mm/record/run.h>

// The text is sealed: an edited file is seen.
MM_CHECKED mm_status run_json_write(const mm_run_facts *facts, mm_text *out, mm_error *error);
// `text` is changed while it is checked. Facts may be half filled after trouble: the caller frees them.
MM_CHECKED mm_status run_json_read(char *text, size_t size, const char *path, mm_run_facts *facts,
                                   mm_error *error);

#endif
