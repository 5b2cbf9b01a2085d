// What attention keeps in scratch, shared by the kernels and by the function that says how much it is.
#ifndef MM_OPS_ATTENTION_SCRATCH_H
#define MM_OPS_ATTENTION_SCRATCH_H

#include <mm/ops/attention.h>

// Floats for each of a tile's rows (a row is one query of one head): queries, output gradient and query
// gradient; two rows of scores; and two numbers. The forward pass needs less: queries, output, scores, two
// numbers.
#define ATTENTION_SCRATCH_PER_ROW(head_dim) (3 * (head_dim) + 2 * MM_ATTENTION_TILE + 2)

#endif
