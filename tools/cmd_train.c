// mm train: the options of a run; what it shows is train_show.c's.
#include "cmd.h"
#include "print.h"
#include "profile_show.h"
#include "progress.h"
#include "stop.h"
#include "train_show.h"
#include <math.h>
#include <mm/base/arena.h>
#include <mm/run/train.h>
#include <stdlib.h>
#include <string.h>

#define SETTING(long_name, said, by_default)                                                                 \
    .name = (long_name), .kind = OPTION_SETTING, .help = (said), .standard = (by_default)

static const option_row options[] = {
    {SETTING("data", "dataset directory, or a text file (.txt, .jsonl, .gz of both) that is packed first",
             "$MM_DATA, else the data/default that tools/setup makes"),
     .argument = "DIR|FILE", .group = "Data"},
    {SETTING("val-data", "dataset or text for the validation loss", "DIR/val of --data, where it is there"),
     .argument = "DIR|FILE"},
    {SETTING("val-every", "take the validation loss every N steps and at the end, 0: never",
             "50 where there is validation data"),
     .argument = "N"},
    {SETTING("packing",
             "window: documents one after another, cut every seq-len tokens; document: one a sample",
             "window")},
    {SETTING("order", "shuffled: another permutation in each epoch; sequential: as the data lie",
             "shuffled")},
    {SETTING("preset", "model of random weights: tiny (1.7M), small (26M), minimind-3 (64M)", "tiny"),
     .argument = "tiny|small|minimind-3", .group = "Model"},
    {SETTING("model",
             "start from this model directory (config.json, model.safetensors or its shards) instead", NULL),
     .argument = "DIR"},
    {SETTING("dropout",
             "share of numbers dropped in the embedding, the attention weights and the attention output",
             "0.1"),
     .argument = "P"},
    {SETTING("token-noise", "share of input tokens replaced by others at random", "0"), .argument = "P"},
    {SETTING("threads", "logical ranks, on at most N worker threads", "8"), .letter = 't', .argument = "N",
     .group = "Ranks and workers"},
    {SETTING("ranks", "logical data-parallel ranks: they decide the bits", "as --threads"), .argument = "R"},
    {SETTING("workers", "threads that do the work: they decide the speed, never a bit",
             "as --threads, but no more than usable cores"),
     .argument = "W"},
    {SETTING("seed", "base seed, decimal or 0x hexadecimal, below 2^64", "1337"), .argument = "N",
     .group = "Random numbers"},
    {SETTING("seed-policy",
             "key of a rank's dropout and noise: base seed + rank; the base seed for all (the trap); "
             "hash(base seed, rank); hash(base seed), counted by sample",
             "rank")},
    {SETTING("steps", "optimizer updates", "300"), .letter = 'n', .argument = "N", .group = "Steps"},
    {SETTING("batch", "sequences of a step over all ranks: micro-batch x ranks x a power of two",
             "the smallest of at least 32"),
     .letter = 'b', .argument = "SEQS"},
    {SETTING("micro-batch", "sequences of a leaf, which one forward and backward pass holds", "4"),
     .argument = "SEQS"},
    {SETTING("seq-len", "tokens of a sequence", "256"), .argument = "N"},
    {SETTING("lr", "learning rate", "3e-3 for tiny, else 5e-4"), .argument = "X",
     .group = "Optimizer (AdamW)"},
    {SETTING("schedule", "minimind: a cosine down to a tenth; constant", "minimind")},
    {SETTING("warmup", "steps over which the learning rate rises from 0", "20 for tiny, else 0"),
     .argument = "N"},
    {SETTING("weight-decay", "decoupled decay of tensors of two dimensions", "0.01"), .argument = "X"},
    {SETTING("clip", "greatest norm of the gradient, 0: any", "1"), .argument = "X"},
    {SETTING("beta1", "decay of the first moment", "0.9"), .argument = "X"},
    {SETTING("beta2", "decay of the second moment", "0.999"), .argument = "X"},
    {SETTING("eps", "added to the root of the second moment", "1e-8"), .argument = "X"},
    {SETTING("out", "run directory to make; nothing is overwritten", "runs/NNNN, the next number"),
     .letter = 'o', .argument = "RUN", .group = "The run"},
    {.name = "resume",
     .kind = OPTION_TEXT,
     .argument = "RUN",
     .help = "go on with a run: all settings come from its run.json; only --workers, --save-every, --keep, "
             "--sample-every, --prompt, --trace, --memory-limit, --profile and, with a constant schedule, "
             "--steps "
             "may be given"},
    {SETTING("save-every", "save a checkpoint every N steps and at the end, 0: at the end only", "100"),
     .argument = "N"},
    {SETTING("keep", "how many of the newest checkpoints to keep, 0: all", "3"), .argument = "N"},
    {SETTING("sample-every", "let the model write something every N steps and at the end, 0: never", "0"),
     .argument = "N"},
    {SETTING("prompt", "what samples go on with", "nothing: they begin as a document does"),
     .argument = "TEXT"},
    {SETTING("trace", "how much of the run to fingerprint", "step")},
    {.name = "memory-limit",
     .kind = OPTION_TEXT,
     .argument = "SIZE",
     .help = "refuse a run that would take more memory than this, such as 900M or 2.5G (units of 1024), and "
             "say which "
             "settings would fit; the machine's and its control groups' limits hold in any case"},
    {.name = "profile",
     .kind = OPTION_FLAG,
     .help = "at the end say where the time went: seconds, share and GF/s by stage and operation, on "
             "standard error"},
    {0},
};

static const char promise[] = "finishing this step, then saving; Ctrl-C again ends at once\n";

// "900M", "2.5G": bytes in units of 1024.
static mm_status limit_memory(const char *size, mm_error *error) {
    if (!size) return MM_OK;
    static const char units[] = "KMGT";
    char *end;
    double bytes = strtod(size, &end);
    const char *unit = *end && end != size ? strchr(units, *end) : NULL;
    if (!unit || end[1] || !isfinite(bytes) || bytes <= 0)
        return mm_trouble(error, "--memory-limit %s: expected a number and its unit, such as 900M or 2.5G",
                          size);
    mm_memory_limit(ldexp(bytes, 10 * (int)(unit - units + 1)));
    return MM_OK;
}

// Trains or goes on; `given` says which settings were given.
static mm_status work(const args *given, mm_settings *settings, bool *set, train_show *show,
                      mm_train_result *result, mm_error *error) {
    const char *run = args_text(given, "resume");
    if (run) {
        if (settings->out)
            return mm_trouble(
                error, "--resume %s and --out %s: a run goes on in its own directory; leave --out away", run,
                settings->out);
        settings->out = strdup(run);
        if (!settings->out) return mm_trouble(error, "--resume %s: out of memory", run);
    } else {
        mm_status status = mm_train_resolve(settings, set, error);
        if (status) return status;
    }
    mm_train_watch watch = train_show_watch(show);
    if (args_flag(given, "profile")) watch.profile = profile_show;
    progress_expect(run ? "reading the run" : "reading data");
    const volatile sig_atomic_t *stop = stop_watch(promise);
    if (run) return mm_train_resume(settings, set, &watch, stop, result, error);
    return mm_train(settings, given->argc, given->argv, &watch, stop, result, error);
}

static mm_status run_train(const args *given, mm_error *error) {
    mm_settings settings;
    bool set[MM_SETTINGS_FIELDS];
    mm_train_result result = {0};
    train_show show = {0};
    mm_status status = args_settings(given, &settings, set, error);
    if (!status) status = limit_memory(args_text(given, "memory-limit"), error);
    if (!status) status = work(given, &settings, set, &show, &result, error);
    mm_settings_free(&settings);
    mm_text text = {0};
    if (!status) {
        train_end_text(&text, &result, given->program);
        progress_clear();
        status = print_text(&text, error);
    } else if (result.interrupted) {
        mm_text_format(&text, "stopped after step %lld, saved; go on with: ", (long long)result.step);
        add_word(&text, given->program);
        mm_text_add_string(&text, " --resume ");
        add_path_word(&text, result.run_path);
        status = mm_fail(error, MM_INTERRUPTED, "%s", text.data ? text.data : "stopped and saved");
    }
    mm_text_free(&text);
    return status;
}

const command cmd_train = {
    .name = "train",
    .summary = "Trains a model; what mm does without a command",
    .options = options,
    .about = "Given ranks, batch and micro-batch, a run gives the same bits with any number of workers and "
             "on any CPU. "
             "Ctrl-C finishes the step, saves and says how to go on.",
    .examples = "mm --threads 8\n"
                "mm train --data book.txt --steps 1000 --out runs/book\n"
                "mm train --preset small --data data/mine --seq-len 512\n"
                "mm train --model runs/0001/model --data data/mine --lr 1e-4\n"
                "mm --resume runs/0001\n",
    .run = run_train,
};
