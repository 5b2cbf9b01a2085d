// Where the program is, as the faults see it.
#ifndef MM_TESTS_PLACE_H
#define MM_TESTS_PLACE_H

#include <mm/model/model.h>
#include <stdint.h>

// The leaf that this thread took last.
typedef struct place {
    int64_t step; // from 1
    int64_t leaf; // of the step
    int rank;
    int64_t leaf_in_rank;
} place;
extern _Thread_local place here;

// The model in training.
extern const mm_model *model_in_work;
// What a gradient's buffer that was not cleared would hold at c; NULL: c is not of one that is planted.
const float *stale_at(const float *c);
// The step that the run was resumed at; 0: from its beginning.
extern int64_t resumed_at;

#endif
