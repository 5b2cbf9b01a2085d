// Everything that a training run holds, and its stages. src/train.c has their order.
#ifndef MM_SRC_TRAINER_H
#define MM_SRC_TRAINER_H

#include "pace.h"
#include <mm/base/arena.h>
#include <mm/data/batch.h>
#include <mm/data/tokenizer.h>
#include <mm/model/model.h>
#include <mm/optim/adamw.h>
#include <mm/rank/reduce.h>
#include <mm/rank/streams.h>
#include <mm/record/checkpoint.h>
#include <mm/record/metrics.h>
#include <mm/record/run.h>
#include <mm/record/trace.h>
#include <mm/run/train.h>

// What one worker has to itself.
typedef struct mm_worker {
    mm_arena arena;
    mm_activations *activations; // of a leaf, which a team may share; NULL for workers beyond the leaves
    float *scratch;              // mm_model_scratch
    mm_batch batch;
    mm_draw *draws;            // micro-batch
    mm_dataset_cursor *cursor; // on the training data
    mm_dataset_cursor *val_cursor;
    mm_status status; // of this step's work; the first trouble stops it
    mm_error error;
    mm_trace_list *list;   // where its probe writes: the leaf's
    mm_hasher *hashers[3]; // of the tensor that it updates: weights, m, v
    int64_t leaf;
    float *gradient; // of the leaf
    bool spoiled;    // its part of the last update has a number that is not finite
} mm_worker;

// Workers that have room for a leaf of their own; those beyond help them.
static inline int64_t mm_hosts(const mm_settings *s) {
    int64_t leaves = s->batch / s->micro_batch;
    return s->workers < leaves ? s->workers : leaves;
}

static inline mm_member mm_worker_alone(const mm_worker *worker) {
    return (mm_member){.team = &mm_team_alone, .scratch = worker->scratch};
}

// One dataset and its order.
typedef struct mm_source {
    mm_dataset *dataset; // NULL: none
    mm_plan plan;
} mm_source;

typedef struct mm_trainer {
    mm_settings settings;
    const mm_train_watch *watch;
    const mm_kernels *kernels;
    const mm_optim_kernels *optim;
    mm_gemm *gemm;
    mm_source train, val;
    mm_tokenizer *tokenizer; // the dataset's
    mm_text chat_template;   // of the model that it began with, for those who chat with its own; empty: none
    int32_t *ordinary;       // ids that token noise may draw
    int64_t ordinary_count;
    mm_model model;
    mm_arena state;         // weights, m, v
    float *weights, *m, *v; // model.parameters.floats each
    mm_tensor *optimizer;   // exp_avg and exp_avg_sq of each tensor
    char *optimizer_names;  // their names, one block
    int64_t *first_piece;   // of each tensor: its first piece's place in piece_sums, and one more for the end
    double *piece_sums;     // sums of squares of pieces of MM_NORM_BLOCK floats
    mm_tree *tree;
    int64_t leaves, leaves_in_rank;
    mm_memory memory;       // planned
    bool recalled;          // the settings are those of a run that was begun before
    mm_config began_with;   // its model's configuration, by its run.json
    int64_t recalled_steps; // its steps, by its run.json; --steps may have moved the end
    bool replays;           // opened for a replay: takes as many workers as memory allows
    mm_worker *workers;     // settings.workers of them; the first mm_hosts() have room for a leaf
    mm_run *run;
    bool unborn; // the run's folder is made, its run.json not yet published
    bool packs;  // text is packed into the run, its run.json not yet published
    mm_metrics *metrics;
    mm_trace *trace;
    mm_trace_list *leaf_lists;   // one a leaf
    mm_trace_list *rank_lists;   // one a rank
    mm_trace_list *update_lists; // merged gradient and norm; then one for each tensor
    int64_t step;                // updates done
    int64_t tokens;              // targets seen
    int64_t batch_targets;       // of the step in work
    float *other;                // what is still to be added to the merged gradient; NULL: nothing
    double scale;                // of clipping
    double lr;
    double *val_sums;                   // losses of validation samples
    struct mm_trainer_samples *samples; // NULL: none are asked for
} mm_trainer;

// src/begin.c. Text files of --data and --val-data are packed into the run.
MM_CHECKED mm_status mm_trainer_prepare(mm_trainer *t, const volatile sig_atomic_t *stop, mm_error *error);
// src/resume.c. The settings of the run in settings->out, with those that were given in their place.
MM_CHECKED mm_status mm_trainer_recall(mm_trainer *t, const mm_settings *settings, const bool *given,
                                       mm_error *error);

// src/session.c. Opens data, model and state from t->settings, new or recalled.
MM_CHECKED mm_status mm_trainer_open(mm_trainer *t, mm_error *error);
void mm_trainer_close(mm_trainer *t);
// Bytes of a worker's arena with the settings `s`; a host has room for a leaf.
size_t mm_trainer_worker_bytes(const mm_trainer *t, const mm_settings *s, bool host);

// src/begin.c. The initial weights (drawn, or from --model) and the run directory.
MM_CHECKED mm_status mm_trainer_begin(mm_trainer *t, int argc, char *const *argv, mm_error *error);
MM_CHECKED mm_status mm_trainer_initial_weights(mm_trainer *t, mm_error *error);
// src/resume.c. Locks the run. Is it at its end? Then its newest checkpoint is checked, and the trainer need
// not be opened: neither data nor room for the model are needed.
MM_CHECKED mm_status mm_trainer_find_end(mm_trainer *t, bool *ended, mm_error *error);
// Loads the newest checkpoint of the run, which is locked, or starts it again if it has none.
MM_CHECKED mm_status mm_trainer_continue(mm_trainer *t, mm_error *error);
// Loads the run's checkpoint of `step`. The run is settings.out, and need not be locked.
MM_CHECKED mm_status mm_trainer_load(mm_trainer *t, int64_t step, mm_error *error);
// Are arithmetic and streams those of this mm? Trouble ends with `so`: what follows for the run.
MM_CHECKED mm_status mm_trainer_check_versions(const char *run, const mm_run_facts *facts, const char *so,
                                               mm_error *error);
// Are arithmetic, streams and data those that the run began with? And are the weights its initial ones?
MM_CHECKED mm_status mm_trainer_check_same(const mm_trainer *t, const mm_run_facts *facts, mm_error *error);
MM_CHECKED mm_status mm_trainer_check_initial(const mm_trainer *t, const mm_run_facts *facts,
                                              mm_error *error);
// src/facts.c. What run.json says; free it with mm_run_facts_free.
MM_CHECKED mm_status mm_trainer_facts(const mm_trainer *t, int argc, char *const *argv, mm_run_facts *facts,
                                      mm_error *error);
// Puts into the facts that this program goes on with the run from here, if the steps before are another's;
// then *changed is set.
MM_CHECKED mm_status mm_trainer_keep_program(const mm_trainer *t, mm_run_facts *facts, bool *changed,
                                             mm_error *error);

// src/train.c. One step, all its stages: t->step is one more after it.
MM_CHECKED mm_status mm_trainer_step(mm_trainer *t, mm_metrics_row *row, mm_error *error);

// src/step.c. Every leaf's gradient, merged but for t->other, which mm_step_norm adds and gives back to the
// tree. The sum's buffer is given back after the update.
MM_CHECKED mm_status mm_step_gradients(mm_trainer *t, mm_partial *sum, mm_error *error);
// A leaf's samples with their draws into the worker's batch; and what that batch is to the model.
MM_CHECKED mm_status mm_step_fill_leaf(mm_trainer *t, mm_worker *worker, int64_t leaf, mm_error *error);
mm_leaf mm_step_leaf(const mm_trainer *t, const mm_worker *worker);
// One leaf of the step in work, apart from tree and trace: sets `gradient`.
MM_CHECKED mm_status mm_step_run_leaf(mm_trainer *t, mm_worker *worker, int64_t leaf, float *gradient,
                                      const mm_probe *probe, double *loss, mm_error *error);

// src/update.c. The last merge and the norm of the merged gradient, and the update of weights and moments;
// each takes its fingerprints while the numbers are in cache.
double mm_step_norm(mm_trainer *t, float *gradient);
void mm_step_update(mm_trainer *t, const float *gradient);
// The numbers of update `step`, for tensors that decay or for those that do not.
mm_adamw_scalars mm_step_scalars(const mm_settings *settings, double lr, double scale, int64_t step,
                                 bool decays);
// A record of the step in work, its place and hash to be filled further.
mm_trace_record mm_step_record(const mm_trainer *t, const char *operation, const char *tensor, mm_hash hash);
// Writes the step's records.
MM_CHECKED mm_status mm_step_trace(mm_trainer *t, mm_error *error);

// src/evaluate.c. Mean loss over the validation data; the samples' losses are summed in order.
MM_CHECKED mm_status mm_trainer_validate(mm_trainer *t, double *loss, mm_error *error);

// src/save.c. The checkpoint of the current step.
MM_CHECKED mm_status mm_trainer_save(mm_trainer *t, mm_error *error);

// src/report.c. What people see; the trainer's watch may be NULL.
void mm_report_header(const mm_trainer *t);
// The pace of the run, from here on, and after a step and its validation.
mm_pace mm_report_begin(const mm_trainer *t);
void mm_report_step(const mm_trainer *t, const mm_pace *pace, const mm_metrics_row *row, double seconds);
void mm_report_doing(const mm_trainer *t, const char *what);
mm_timing_row mm_report_timing(const mm_metrics_row *row, double seconds);

#endif
