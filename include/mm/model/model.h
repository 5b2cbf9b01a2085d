// The decoder: loss and gradients of one leaf (design: Model). A leaf holds its samples' rows one after
// another.
#ifndef MM_MODEL_MODEL_H
#define MM_MODEL_MODEL_H

#include <mm/base/arena.h>
#include <mm/base/par.h>
#include <mm/base/probe.h>
#include <mm/base/rng.h>
#include <mm/model/config.h>
#include <mm/model/parameters.h>
#include <mm/ops/gemm.h>
#include <mm/ops/kernels.h>

enum { MM_ARITHMETIC_VERSION = 1 }; // rises when a change moves bits (design: Arithmetic 8)
enum { MM_LOGIT_ROWS = 256 };       // rows of a chunk of logits

// Immutable but for the weights, which only the optimizer writes: workers share it.
typedef struct mm_model {
    mm_config config;
    mm_parameters parameters;
    const mm_kernels *kernels;
    const mm_gemm *gemm;
    float *weights;       // parameters.floats, owned by the caller
    int64_t positions;    // rows that the rope tables reach
    float *cosine, *sine; // positions * head_dim / 2, owned
} mm_model;

// `config` is copied; kernels, gemm and weights must live as long as the model. `weights` may be NULL for
// planning; it is set before the model runs. Trouble: memory; there is nothing to close then, though closing
// does no harm.
MM_CHECKED mm_status mm_model_open(mm_model *model, const mm_config *config, const mm_kernels *kernels,
                                   const mm_gemm *gemm, int64_t positions, float *weights, mm_error *error);
void mm_model_close(mm_model *model);

// What is kept of a leaf between forward and backward. Opaque but for its making.
typedef struct mm_activations mm_activations;
// Takes room for leaves of at most `rows` rows from the arena, with which it goes; NULL from a measuring one.
// With `backward` false only mm_model_loss may use it, which needs one layer's room instead of all layers'.
mm_activations *mm_activations_place(const mm_model *model, int64_t rows, bool backward, mm_arena *arena);

// Floats that each worker of a leaf needs to itself.
size_t mm_model_scratch(const mm_model *model);
// How many workers of a leaf of `rows` rows pack what they multiply in their scratch, at most.
int64_t mm_model_packers(const mm_model *model, int64_t rows);

// A worker's part in a leaf. The workers of a team share it: rows are cut among them, weights' gradients by
// outputs, attention by samples and groups of heads, and no sum crosses a cut, so bits do not show who took
// part.
typedef struct mm_member {
    const mm_team *team; // mm_team_alone for a leaf of one's own
    int worker;          // of the team
    float *scratch;      // mm_model_scratch
} mm_member;

typedef struct mm_leaf {
    int samples;
    int64_t rows;
    const int64_t *starts;  // samples + 1
    const int32_t *inputs;  // rows
    const int32_t *targets; // rows
    const mm_draw *draws;   // samples; NULL: no dropout
    double dropout;         // 0: none
    int64_t seq_len;        // T, which masks count by
    double scale;           // of the gradient: 1 / target tokens of the batch
} mm_leaf;

// Sum of the leaf's losses in double; `gradient` (laid out by the table) becomes +0 and scale * their
// gradient added to it, whatever it held; what lies between tensors is left. Every member of the team calls
// it with the same arguments but its own membership, and gets the same sum; when one returns, the gradient is
// whole. The first member looks through the probe.
double mm_model_train(const mm_model *model, mm_activations *activations, const mm_leaf *leaf,
                      float *gradient, const mm_probe *probe, const mm_member *member);
// The same sum without gradients.
double mm_model_loss(const mm_model *model, mm_activations *activations, const mm_leaf *leaf,
                     const mm_probe *probe, const mm_member *member);

#endif
