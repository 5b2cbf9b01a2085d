// For diff_side.c: has a traced step every record that the run's configuration asks for?
#ifndef RECORD_DIFF_WHOLE_H
#define RECORD_DIFF_WHOLE_H

#include <mm/record/diff.h>

// Of the step in `side`, parsed. Each record that every level of trace has must be there once, in the order
// of the writer, and each record of a leaf must name a leaf of the run and its rank. A step that stopped at a
// number that is not finite has the first of them.
MM_CHECKED mm_status side_check_whole(mm_side *side, bool stopped, mm_error *error);

#endif
