// mm verify: does a run repeat on this machine?
#include "cmd.h"
#include "diff_show.h"
#include "print.h"
#include "progress.h"

static const option_row options[] = {
    {.name = "from",
     .kind = OPTION_INTEGER,
     .argument = "STEP",
     .least = 0,
     .most = 1e9,
     .help = "begin with the newest checkpoint at or before this step",
     .standard = "0, the beginning"},
    {.name = "steps",
     .kind = OPTION_INTEGER,
     .argument = "N",
     .least = 1,
     .most = 1e9,
     .help = "check up to N steps after --from",
     .standard = "up to the run's end"},
    {.name = "json",
     .kind = OPTION_FLAG,
     .help = "write {\"repeats\", \"from\", \"to\", \"traced\", \"first\", \"what\"}"},
    {0},
};

static void show_doing(void *self, const char *what, double share) {
    (void)self;
    progress_share(what, share);
}

static void json_text(mm_text *out, const mm_verify_result *r) {
    mm_json_writer writer = mm_json_writer_on(out, 0), *w = &writer;
    mm_json_open_object(w);
    mm_json_pair_bool(w, "repeats", r->repeats);
    mm_json_pair_integer(w, "from", r->first);
    mm_json_pair_integer(w, "to", r->last);
    mm_json_pair_integer(w, "traced", r->traced);
    mm_json_put_key(w, "first");
    if (r->repeats)
        mm_json_put_null(w);
    else
        diff_put_place(w, &r->place);
    mm_json_pair_string(w, "what", r->repeats ? NULL : r->what);
    mm_json_close(w);
    mm_text_add_string(out, "\n");
}

static void people_text(mm_text *out, const char *run, const mm_verify_result *r) {
    if (r->last == r->first)
        mm_text_format(out, "step %lld repeats to the bit\n", (long long)r->first);
    else if (r->last > r->first)
        mm_text_format(out, "steps %lld to %lld repeat to the bit\n", (long long)r->first,
                       (long long)r->last);
    const long long steps = (long long)(r->last - r->first + 1), traced = (long long)r->traced;
    if (traced < steps)
        mm_text_format(out,
                       "The trace has records of %lld of these %lld steps; of the others only metrics and "
                       "checkpoints were compared.\n",
                       traced, steps);
    if (r->unsaved) {
        mm_text_add_string(out, "The run was stopped before its last checkpoint: mm --resume ");
        add_path_word(out, run);
        mm_text_add_string(out, " makes it.\n");
    }
    if (r->repeats) return;
    add_name(out, r->what);
    mm_text_add_string(out, "\n");
}

static mm_status run_verify(const args *given, mm_error *error) {
    mm_verify_options chosen = {.from = args_integer(given, "from", 0),
                                .steps = args_integer(given, "steps", 0),
                                .watch = {.doing = show_doing}};
    mm_verify_result result;
    progress_expect("reading the run");
    mm_status status = mm_verify(given->operands[0], &chosen, &result, error);
    progress_clear();
    if (status) return status;
    mm_text out = {0};
    if (args_flag(given, "json"))
        json_text(&out, &result);
    else
        people_text(&out, given->operands[0], &result);
    status = print_text(&out, error);
    mm_text_free(&out);
    return status ? status : result.repeats ? MM_OK : MM_DIFFERS;
}

const command cmd_verify = {
    .name = "verify",
    .summary = "Runs a run's steps again and checks them against its trace",
    .operands = "RUN",
    .least = 1,
    .most = 1,
    .options = options,
    .about = "Every step is run again from a checkpoint, on this machine, and every record that the run's "
             "trace has of "
             "it is compared. Exits 0 if all repeat, 1 at the first record that does not, 2 if it cannot be "
             "said: the "
             "data are gone, or another arithmetic made the run.",
    .examples = "mm verify runs/0001\nmm verify --from 200 --steps 10 runs/0001\n",
    .run = run_verify,
};
