// mm diff: where two runs part, and why.
#include "cmd.h"
#include "diff_show.h"
#include "print.h"
#include "progress.h"

static const option_row options[] = {
    {.name = "no-replay",
     .kind = OPTION_FLAG,
     .help = "do not run the step again, where the traces are too coarse to name the operation"},
    {.name = "json",
     .kind = OPTION_FLAG,
     .help =
         "write one object: same, configuration (key, a, b, may_change_bits, from: the first "
         "step, where --resume went on by another program or on another machine), first (step, rank, leaf, "
         "layer, "
         "operation, pass, tensor), cause (kind, what), distance (step, loss, parameters_max_abs, "
         "parameters_rms), sentence, replay; null where a field does not apply"},
    {0},
};

static void show_doing(void *self, const char *what, double share) {
    (void)self;
    progress_share(what, share);
}

static mm_status run_diff(const args *given, mm_error *error) {
    mm_diff_options chosen = {.no_replay = args_flag(given, "no-replay"), .watch = {.doing = show_doing}};
    mm_diff_result result;
    progress_expect("comparing the runs");
    mm_status status = mm_diff(given->operands[0], given->operands[1], &chosen, &result, error);
    progress_clear();
    if (status) return status;
    mm_text out = {0};
    if (args_flag(given, "json"))
        diff_json_text(&out, &result);
    else
        diff_people_text(&out, &result);
    bool same = result.same;
    mm_diff_result_free(&result);
    status = print_text(&out, error);
    mm_text_free(&out);
    return status ? status : same ? MM_OK : MM_DIFFERS;
}

const command cmd_diff = {
    .name = "diff",
    .summary = "Says where two runs part, and why",
    .operands = "RUN_A RUN_B",
    .least = 2,
    .most = 2,
    .options = options,
    .about =
        "Compares what the runs began with, then their traces record by record, then names the cause. Where "
        "the "
        "traces are too coarse to name the operation, that one step is run again from the last checkpoint "
        "before it, "
        "which also shows which of the runs this machine repeats. The kinds of causes: damage, weights, "
        "data, seed, configuration, code, hardware, reduction, "
        "optimizer, unknown. Exits 0 if both came to their end at the same step with "
        "equal records, 1 if they differ, 2 if a run cannot be read or is being trained. Checkpoints that "
        "are there "
        "are checked too; older ones may have been removed, by --keep or by hand, but not the newest.",
    .examples = "mm diff runs/0001 runs/0002\nmm diff --json --no-replay runs/0001 runs/0002\n",
    .run = run_diff,
};
