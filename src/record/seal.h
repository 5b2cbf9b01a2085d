// A hash of a JSON text within itself, so that a change or a cut of run.json or state.json is seen. Private
// to this folder.
#ifndef MM_RECORD_SEAL_H
#define MM_RECORD_SEAL_H

#include <mm/base/status.h>
#include <mm/base/text.h>
#include <mm/files/json.h>
#include <stddef.h>

// Puts "seal" as the last member of the open root object, closes it and ends the text: the seal is the
// XXH3-128 of the whole text with zeros in place of the seal's digits. `w` writes the whole of its text,
// indented by 2.
void seal_close(mm_json_writer *w);
// `text` is changed meanwhile, and put back. Trouble names `path`.
MM_CHECKED mm_status seal_check(char *text, size_t size, const char *path, mm_error *error);

#endif
