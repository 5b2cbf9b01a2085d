#include "memory.h"
#include "generate_train.h"
#include <mm/base/clock.h>
#include <mm/base/probe.h>
#include <stdio.h>
#include <string.h>

// What libraries and threads take for themselves, measured (glibc 2.36, zlib 1.2.13, BLIS 0.9.0).
enum {
    THREAD_BYTES = 224 << 10, // some of the stack and of the thread's own heap
    PACKED_ROW_BYTES = 1024,  // of BLIS's packed panel of B: 256 numbers for each column,
    PACKED_ROWS_MOST = 2500,  // of which it packs so many at once
    CURSOR_BYTES = 180 << 10, // of a shard: a block raw and packed, inflate's window and tables
    PROCESS_BYTES = 1 << 20,  // code that is first run after the plan is made, files being written
};

// Of a step's trace: its records, and their lines before they are packed.
static double trace_bytes(const mm_trainer *t, const mm_settings *s, double leaves) {
    enum {
        OF_LEAF = 4,        // positions, inputs, targets, loss
        OF_LAYER = 3,       // at level layer: 2 of a layer, 3 of what is outside of them
        OF_OPERATIONS = 50, // at level op: some 45 of a layer
        LINE_BYTES = 180,   // about what a record's line takes
        LIST_BYTES = 4096   // a page, which a list's first records touch
    };
    if (s->trace < MM_LEVEL_STEP) return 0;
    double layers = t->model.config.layers + 1, tensors = t->model.parameters.count;
    double of_leaf = OF_LEAF, record = sizeof(mm_trace_record);
    if (s->trace > MM_LEVEL_STEP) of_leaf += layers * (s->trace == MM_LEVEL_OP ? OF_OPERATIONS : OF_LAYER);
    double lists = of_leaf * record < LIST_BYTES ? LIST_BYTES : of_leaf * record;
    double others = ((double)s->ranks + 4) * tensors;
    return leaves * lists + others * record + (leaves * of_leaf + others) * LINE_BYTES;
}

static double room_bytes(const mm_trainer *t) {
    return (double)mm_gemm_room(t->gemm) * sizeof(float);
}

static double sample_bytes(const mm_trainer *t, const mm_settings *s) {
    enum { ROWS = 64 }; // of a prompt; few have more
    if (s->sample_every == 0) return 0;
    const mm_config *c = &t->model.config;
    double positions = (s->prompt ? (double)strlen(s->prompt) : 0) + 1 + MM_SAMPLE_TOKENS;
    double cached = 2.0 * c->layers * c->kv_heads * c->head_dim + c->head_dim;
    double rows = 4.0 * c->hidden + c->intermediate;
    double packed = s->prompt ? (double)s->workers * room_bytes(t) : 0; // one token alone is not multiplied
    return packed + sizeof(float) * (positions * cached + ROWS * rows + 4.0 * c->vocab);
}

// Cursors on the data, losses of validation, trace, samples.
static double side_bytes(const mm_trainer *t, const mm_settings *s, double leaves, double hosts) {
    double shards = mm_dataset_shards(t->train.dataset);
    double bytes = 0;
    if (t->val.dataset) {
        shards += mm_dataset_shards(t->val.dataset);
        bytes += (double)t->val.plan.samples * sizeof *t->val_sums;
    }
    bytes += hosts * shards * CURSOR_BYTES;
    return bytes + trace_bytes(t, s, leaves) + sample_bytes(t, s);
}

// Workers that have something to do where a leaf falls into so many parts.
static int64_t busy(const mm_settings *s, int64_t hosts, int64_t parts) {
    return s->workers < hosts * parts ? s->workers : hosts * parts;
}

// A worker's own, and what it packs of its rows of a leaf and of the widest weights.
static double thread_bytes(const mm_trainer *t, const mm_settings *s, int64_t hosts) {
    const mm_config *c = &t->model.config;
    int64_t rows = s->micro_batch * s->seq_len, blocks = mm_rmsnorm_partials(rows);
    int64_t packers = busy(s, hosts, blocks), each = (blocks * hosts + packers - 1) / packers;
    double panel = (double)mm_gemm_packed_bytes(t->gemm);
    double own = (double)(each * MM_RMSNORM_BLOCK * MM_GEMM_CHUNK) * sizeof(float);
    int widest = c->vocab > 2 * c->intermediate ? c->vocab : 2 * c->intermediate;
    if (widest > PACKED_ROWS_MOST) widest = PACKED_ROWS_MOST;
    double packed = panel > 0 ? (own < panel ? own : panel) + (double)widest * PACKED_ROW_BYTES : 0;
    return (double)s->workers * THREAD_BYTES + (double)packers * packed;
}

// What helpers of a leaf's hosts touch of their scratch: attention, which falls into samples and groups of
// heads, and the room of GEMM.
static double helper_bytes(const mm_trainer *t, const mm_settings *s, int64_t hosts) {
    int64_t attending = busy(s, hosts, s->micro_batch * t->model.config.kv_heads);
    int64_t packing = busy(s, hosts, mm_model_packers(&t->model, s->micro_batch * s->seq_len));
    double bytes =
        (double)(attending - hosts) * (double)mm_arena_resident(mm_trainer_worker_bytes(t, s, false));
    if (packing <= attending) return bytes;
    return bytes + (double)(packing - attending) * (double)mm_arena_resident((size_t)room_bytes(t));
}

mm_memory mm_memory_plan(const mm_trainer *t, const mm_settings *s) {
    int64_t leaves = s->batch / s->micro_batch, hosts = mm_hosts(s);
    size_t floats = t->model.parameters.floats;
    mm_memory m = {
        .weights = (double)mm_arena_resident(3 * floats * sizeof(float)),
        .gradients =
            (double)mm_tree_buffers(leaves, (int)hosts) * (double)mm_arena_resident(floats * sizeof(float)),
        .activations = (double)hosts * (double)mm_arena_resident(mm_trainer_worker_bytes(t, s, true)) +
                       helper_bytes(t, s, hosts),
        .process = mm_resident_bytes(),
    };
    double side = side_bytes(t, s, (double)leaves, (double)hosts) + thread_bytes(t, s, hosts) + PROCESS_BYTES;
    m.available = m.process + mm_memory_available();
    m.process += side;
    m.total = m.weights + m.gradients + m.activations + m.process;
    return m;
}

// --- what would fit

typedef struct offer {
    const mm_trainer *t;
    mm_text text; // what fits, one after another
    int count;
} offer;

enum { OFFERS_MOST = 3 };

static bool fits(const mm_trainer *t, const mm_settings *s, mm_memory *plan) {
    *plan = mm_memory_plan(t, s);
    return plan->total <= plan->available;
}

static void add_offer(offer *o, const char *settings, const mm_memory *plan, bool same_bits) {
    if (o->count == OFFERS_MOST) return;
    mm_text_add_string(&o->text, o->count++ ? "; " : "");
    mm_text_add_string(&o->text, settings);
    mm_text_add_string(&o->text, " needs ");
    mm_text_add_size(&o->text, plan->total);
    if (same_bits) mm_text_add_string(&o->text, " and gives the same bits");
}

// The most workers that fit; they move no bit.
static bool offer_workers(offer *o) {
    mm_settings s = o->t->settings;
    mm_memory plan;
    char text[64];
    while (s.workers > 1) {
        s.workers--;
        if (!fits(o->t, &s, &plan)) continue;
        snprintf(text, sizeof text, "--workers %lld", (long long)s.workers);
        add_offer(o, text, &plan, true);
        return true;
    }
    return false;
}

// The largest micro-batch that fits and that the batch allows: micro-batch x ranks x a power of two.
static bool offer_micro_batch(offer *o, int64_t workers) {
    mm_settings s = o->t->settings;
    mm_memory plan;
    char text[64];
    s.workers = workers;
    for (int64_t micro = s.micro_batch; --s.micro_batch >= 1;) {
        if (micro % s.micro_batch || (micro / s.micro_batch & (micro / s.micro_batch - 1))) continue;
        if (!fits(o->t, &s, &plan)) continue;
        int used = workers == o->t->settings.workers
                       ? 0
                       : snprintf(text, sizeof text, "--workers %lld ", (long long)workers);
        snprintf(text + used, sizeof text - (size_t)used, "--micro-batch %lld", (long long)s.micro_batch);
        add_offer(o, text, &plan, false);
        return true;
    }
    return false;
}

static int64_t least_micro_batch(int64_t micro) {
    while (micro % 2 == 0) micro /= 2;
    return micro;
}

// The longest half, quarter, ... of the sequence that fits, with all else as it is or else as little as it
// can be.
static bool offer_seq_len(offer *o, bool least_else) {
    enum { SHORTEST = 16 };
    mm_settings s = o->t->settings;
    mm_memory plan;
    char text[96];
    if (least_else) s.workers = 1, s.micro_batch = least_micro_batch(s.micro_batch);
    while (s.seq_len / 2 >= SHORTEST) {
        s.seq_len /= 2;
        if (!fits(o->t, &s, &plan)) continue;
        int used = least_else ? snprintf(text, sizeof text, "--workers 1 --micro-batch %lld ",
                                         (long long)s.micro_batch)
                              : 0;
        snprintf(text + used, sizeof text - (size_t)used, "--seq-len %lld", (long long)s.seq_len);
        add_offer(o, text, &plan, false);
        return true;
    }
    return false;
}

// In the order of how little they change. A run that goes on changes its workers alone.
static void make_offers(offer *o) {
    const mm_settings *s = &o->t->settings;
    bool any = offer_workers(o);
    if (o->t->recalled) return;
    any |= offer_micro_batch(o, s->workers);
    if (!any && s->workers > 1) any = offer_micro_batch(o, 1);
    if (!offer_seq_len(o, false) && !any) offer_seq_len(o, true);
}

static mm_status refuse(const mm_trainer *t, mm_error *error) {
    offer o = {.t = t};
    make_offers(&o);
    mm_text sizes = {0};
    mm_text_add_string(&sizes, "memory: the run needs ");
    mm_text_add_size(&sizes, t->memory.total);
    mm_text_add_string(&sizes, mm_memory_is_limited() ? ", and by --memory-limit " : ", and ");
    mm_text_add_size(&sizes, t->memory.available);
    mm_text_add_string(&sizes, " are available; ");
    if (!o.count) {
        mm_text_add_string(&sizes, "no --workers");
        if (!t->recalled) mm_text_add_string(&sizes, ", --micro-batch or --seq-len");
        mm_text_add_string(&sizes, " would fit: weights, moments and gradients alone take ");
        mm_text_add_size(&sizes, t->memory.weights + t->memory.gradients);
    }
    bool failed = sizes.failed || o.text.failed;
    mm_status status = failed ? mm_trouble(error, "memory: the run does not fit")
                              : mm_trouble(error, "%s%s", sizes.data, o.count ? o.text.data : "");
    mm_text_free(&sizes);
    mm_text_free(&o.text);
    return status;
}

mm_status mm_memory_check(mm_trainer *t, mm_error *error) {
    while (!fits(t, &t->settings, &t->memory) && t->replays && t->settings.workers > 1) t->settings.workers--;
    double peak = mm_resident_peak_bytes(); // packing, for one, came before
    mm_status status = t->memory.total <= t->memory.available ? MM_OK : refuse(t, error);
    if (t->memory.total < peak) {
        t->memory.process += peak - t->memory.total;
        t->memory.total = peak;
    }
    return status;
}
