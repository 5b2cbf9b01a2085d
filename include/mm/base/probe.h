// Who wants to see a tensor while a leaf runs. The model reports; what is done with it (a trace, a test) is
// the probe's.
#ifndef MM_BASE_PROBE_H
#define MM_BASE_PROBE_H

#include <mm/base/tensor.h>
#include <stdbool.h>

// How much a trace holds; each level holds those before it.
typedef enum mm_level { MM_LEVEL_OFF, MM_LEVEL_STEP, MM_LEVEL_LAYER, MM_LEVEL_OP } mm_level;

typedef enum mm_pass { MM_PASS_NONE, MM_PASS_FORWARD, MM_PASS_BACKWARD } mm_pass;

// One tensor at one place of the program.
typedef struct mm_sight {
    mm_level level; // the coarsest level at which it is seen
    mm_pass pass;
    int layer;             // -1 outside the layers
    const char *operation; // "embedding", "input_layernorm", "qkv_proj", ...
    bool output;           // an output of the operation, or an input of it
    mm_tensor tensor;      // rows may be strided: see ld
    int64_t ld;            // elements from one row to the next; equal to the last dimension when contiguous
} mm_sight;

// `see` is called by the thread of the leaf's first worker, in a fixed order that does not depend on the
// order in which the program computes; the other workers wait for it. The sight and the tensor are valid
// during the call only. It must not change the numbers: they may have been used already, and one array may be
// seen as two tensors.
typedef struct mm_probe {
    mm_level level; // see is called for sights up to this level
    void *self;
    void (*see)(void *self, const mm_sight *sight);
} mm_probe;

// Is anything of this level wanted? `probe` may be NULL.
static inline bool mm_probe_wants(const mm_probe *probe, mm_level level) {
    return probe && probe->level >= level;
}

#endif
