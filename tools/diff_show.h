// What mm diff says: for people, and as one JSON object.
#ifndef MM_TOOLS_DIFF_SHOW_H
#define MM_TOOLS_DIFF_SHOW_H

#include <mm/base/text.h>
#include <mm/files/json.h>
#include <mm/run/diff.h>

void diff_people_text(mm_text *out, const mm_diff_result *result);
void diff_json_text(mm_text *out, const mm_diff_result *result);
// {"step", "rank", "leaf", "layer", "operation", "pass", "tensor"} into an open value; null where one does
// not apply.
void diff_put_place(mm_json_writer *w, const mm_place *place);

#endif
