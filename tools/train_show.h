// What people see of a training run: the header, the line of a step, the end.
#ifndef MM_TOOLS_TRAIN_SHOW_H
#define MM_TOOLS_TRAIN_SHOW_H

#include <mm/base/text.h>
#include <mm/run/train.h>

// The watch's `self`.
typedef struct train_show {
    bool stepped; // a step has been shown
    bool timed;   // how long all takes has been said
    bool has_val;
    double val_loss; // the last
} train_show;

mm_train_watch train_show_watch(train_show *show);
void train_header_text(mm_text *out, const mm_train_header *header);
// `has_val`, `val_loss`: the last validation loss known.
void train_step_text(mm_text *out, const mm_train_step *step, bool has_val, double val_loss);
// Where the model is, and what to run next.
void train_end_text(mm_text *out, const mm_train_result *result, const char *program);

#endif
