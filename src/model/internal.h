// Shared by the files of src/model: what a worker keeps of a leaf, and the pieces of a pass over it.
#ifndef MM_MODEL_INTERNAL_H
#define MM_MODEL_INTERNAL_H

#include <mm/model/model.h>

// What the backward pass of one layer needs of its forward pass. Row-major, a row for each row of the leaf.
typedef struct layer_room {
    float *x;       // rows x hidden: the layer's input
    float *rstd_in; // rows
    float *qkv;     // rows x (heads + 2 kv_heads) * head_dim: before norm and rope
    float *qk; // as qkv: q and k after them; v's columns are not used, so that all share one distance of rows
    float *rstd_q;    // rows x heads
    float *rstd_k;    // rows x kv_heads
    float *o;         // rows x heads * head_dim: attention's output
    float *lse;       // heads x rows, sample by sample
    float *mid;       // rows x hidden: after attention's residual
    float *rstd_post; // rows
    float *gate_up;   // rows x 2 intermediate; its gradient in the backward pass
} layer_room;

struct mm_activations {
    int64_t rows;
    bool backward;
    layer_room *layers; // one for each layer, or one for all without a backward pass
    float *x_final;     // rows x hidden: the last layer's output; layers[0].x without a backward pass
    float *rstd_final;  // rows
    float *norm;        // rows x hidden: a norm's output or its gradient; the loss's input
    float *branch;      // rows x hidden: what is added to the residual, or its gradient
    float *dx;          // rows x hidden: the residual's gradient
    float *wide;        // rows x intermediate: SwiGLU's output
    float *d_wide;   // rows x intermediate: its gradient; in the room of d_qkv and d_o, which come after it
    float *d_qkv;    // rows x (heads + 2 kv_heads) * head_dim
    float *d_o;      // rows x heads * head_dim
    float *logits;   // MM_LOGIT_ROWS x vocab
    double *losses;  // rows
    float *partials; // of norms' weights: mm_rmsnorm_partials(rows) x the widest groups side by side
};

// One member's way through the model with a leaf. What is done by rows is done for rows begin to end alone,
// so that a chain of such operations needs no waiting.
typedef struct leaf_run {
    const mm_model *model;
    mm_activations *room;
    const mm_leaf *leaf;
    float *gradient; // NULL: forward only
    const mm_probe *probe;
    const mm_member *member;
    int64_t begin, end;
} leaf_run;

// Outputs or columns that parts are multiples of: whole tiles of GEMM's AVX2 kernels, and of others nearly.
enum { LEAF_GRAIN = 48 };
// The member's part of n outputs or columns.
void part_of(const leaf_run *run, int64_t n, int64_t *begin, int64_t *end);
// What all members wrote is seen by all.
void together(const leaf_run *run);

layer_room *room_of(const leaf_run *run, int layer);
// Where the layer's output goes: the next layer's input, or x_final.
float *layer_output(const leaf_run *run, int layer);
const float *weight_of(const leaf_run *run, int index);
float *gradient_of(const leaf_run *run, int index);

// A probe's look at rows x columns floats, `ld` apart, which the members wrote: when somebody looks, they
// wait for each other before and after. Costs a comparison when nobody does.
typedef struct look_at {
    mm_level level;
    mm_pass pass;
    int layer;
    const char *operation;
} look_at;
void look(const leaf_run *run, const look_at *at, bool output, const char *tensor, float *data, int64_t rows,
          int64_t columns, int64_t ld);

// y = x w^T and dx = dy w, by rows; dw = +0 + dy^T x, by outputs, from the rows of all. x is rows x in, y
// rows x out, w out x in.
void linear_forward(const leaf_run *run, float *y, const float *x, const float *w, int64_t out, int64_t in);
void linear_input_gradient(const leaf_run *run, float *dx, const float *dy, const float *w, int64_t out,
                           int64_t in);
void linear_weight_gradient(const leaf_run *run, float *dw, const float *dy, const float *x, int64_t out,
                            int64_t in);

// By rows: room->norm = the layer norm of x (rows x hidden) by the table's tensor `norm`.
void norm_forward(const leaf_run *run, const float *x, int norm, float *rstd);
// By rows, then together: room->dx = the gradient of x from room->norm's, plus `residual` (NULL for none, may
// be room->dx).
void norm_backward(const leaf_run *run, const float *x, int norm, const float *rstd, const float *residual);

// By rows: y = residual + dropout(x) on rows of the hidden size, sample by sample; residual may be NULL.
void drop_rows(const leaf_run *run, mm_purpose purpose, int layer, float *y, const float *x,
               const float *residual);

// The gradient of drop_rows' x from that of its y, seen by all: made by rows in room->branch, or dy itself if
// nothing is dropped.
float *kept_rows(const leaf_run *run, mm_purpose purpose, int layer, float *dy);

void layer_forward(const leaf_run *run, int layer);
// room->dx holds the gradient of the layer's output, and then that of its input. Both begin and end by rows.
void layer_backward(const leaf_run *run, int layer);

#endif
