#include <mm/base/profile.h>

#include <assert.h>
#include <mm/base/clock.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 2 * MM_PROFILE_GEMMS }; // of the table of shapes: never more than half full

// One worker's. No two share a line of the cache.
struct mm_profile {
    _Alignas(128) double last;       // its time is charged up to here
    double gemm_seconds, gemm_flops; // since the last mark
    mm_profile_row rows[MM_PROFILE_OPS][MM_PROFILE_PASSES];
    mm_profile_gemm gemms[MM_PROFILE_GEMMS];
    int gemm_count;
    int64_t gemms_left_out;
    int16_t slots[SLOTS]; // a shape's index and 1; 0: empty
};

// Workers only read it; the thread that started it writes it while none of them runs.
static struct {
    struct mm_profile *profiles; // NULL: nobody profiles
    int workers;
    double began;
    double joined;       // when the last workers ended
    mm_profile_op stage; // MM_PROFILE_OTHER: as the marks say
} state;

_Thread_local struct mm_profile *mm_profile_mine;

const char *mm_profile_name(mm_profile_op op) {
    static const char *const names[] = {
        [MM_PROFILE_OTHER] = "other",
        [MM_PROFILE_BATCH] = "batch",
        [MM_PROFILE_EMBEDDING] = "embedding",
        [MM_PROFILE_INPUT_NORM] = "input norm",
        [MM_PROFILE_QKV] = "qkv_proj",
        [MM_PROFILE_HEADS] = "q/k norm and rope",
        [MM_PROFILE_ATTENTION] = "attention",
        [MM_PROFILE_O_PROJ] = "o_proj",
        [MM_PROFILE_RESIDUAL] = "residual and dropout",
        [MM_PROFILE_POST_NORM] = "post-attention norm",
        [MM_PROFILE_GATE_UP] = "gate_up_proj",
        [MM_PROFILE_SWIGLU] = "swiglu",
        [MM_PROFILE_DOWN] = "down_proj",
        [MM_PROFILE_FINAL_NORM] = "final norm",
        [MM_PROFILE_LOGITS] = "logits",
        [MM_PROFILE_CROSS_ENTROPY] = "cross entropy",
        [MM_PROFILE_CLEAR] = "clear gradient",
        [MM_PROFILE_MERGE] = "merge (tree)",
        [MM_PROFILE_NORM] = "gradient norm",
        [MM_PROFILE_ADAMW] = "adamw",
        [MM_PROFILE_TRACE] = "trace",
        [MM_PROFILE_METRICS] = "metrics",
        [MM_PROFILE_WAIT] = "wait for others",
        [MM_PROFILE_SERIAL] = "idle (one works)",
        [MM_PROFILE_VALIDATION] = "validation",
        [MM_PROFILE_SAMPLES] = "samples",
        [MM_PROFILE_CHECKPOINT] = "checkpoint",
    };
    return names[op];
}

static void charge_until(struct mm_profile *p, double now, mm_profile_op op, mm_pass pass) {
    if (state.stage != MM_PROFILE_OTHER) op = state.stage, pass = MM_PASS_NONE;
    mm_profile_row *row = &p->rows[op][pass];
    row->seconds += now - p->last;
    row->gemm_seconds += p->gemm_seconds;
    row->gemm_flops += p->gemm_flops;
    p->last = now;
    p->gemm_seconds = p->gemm_flops = 0;
}

void mm_profile_charge(mm_profile_op op, mm_pass pass) {
    charge_until(mm_profile_mine, mm_clock_seconds(), op, pass);
}

mm_status mm_profile_start(int workers, mm_error *error) {
    assert(workers >= 1 && !state.profiles);
    size_t bytes = (size_t)workers * sizeof *state.profiles;
    state.profiles = aligned_alloc(_Alignof(struct mm_profile), bytes);
    if (!state.profiles) return mm_trouble(error, "profile of %d workers: out of memory", workers);
    memset(state.profiles, 0, bytes);
    state.workers = workers;
    state.stage = MM_PROFILE_OTHER;
    state.began = state.joined = mm_clock_seconds();
    for (int w = 0; w < workers; w++) state.profiles[w].last = state.began;
    mm_profile_mine = state.profiles;
    return MM_OK;
}

// Of a worker that does not run: it waited until the others had ended, and was idle since.
static void charge_idle(struct mm_profile *p, double now) {
    if (p->last < state.joined) charge_until(p, state.joined, MM_PROFILE_WAIT, MM_PASS_NONE);
    charge_until(p, now, MM_PROFILE_SERIAL, MM_PASS_NONE);
}

static void charge_all(void) {
    double now = mm_clock_seconds();
    charge_until(&state.profiles[0], now, MM_PROFILE_OTHER, MM_PASS_NONE);
    for (int w = 1; w < state.workers; w++) charge_idle(&state.profiles[w], now);
}

void mm_profile_stage(mm_profile_op op) {
    if (!state.profiles) return;
    charge_all();
    state.stage = op;
}

// --- shapes of GEMM

static bool same_shape(const mm_profile_gemm *a, const mm_profile_gemm *b) {
    return a->m == b->m && a->n == b->n && a->k == b->k && a->lda == b->lda && a->ldb == b->ldb &&
           a->ldc == b->ldc && a->transpose_a == b->transpose_a && a->transpose_b == b->transpose_b &&
           a->adds == b->adds;
}

static unsigned slot_of(const mm_profile_gemm *g) {
    const int64_t numbers[] = {
        g->m, g->n, g->k, g->lda, g->ldb, g->ldc, g->transpose_a * 4 + g->transpose_b * 2 + g->adds};
    uint64_t mixed = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        mixed = (mixed + (uint64_t)numbers[i]) * 0x9e3779b97f4a7c15u;
    return (unsigned)(mixed >> 32) % SLOTS;
}

// The entry of a shape in the worker's table, made if it is new; NULL if the table is full.
static mm_profile_gemm *entry_of(struct mm_profile *p, const mm_profile_gemm *shape) {
    unsigned slot = slot_of(shape);
    for (; p->slots[slot]; slot = (slot + 1) % SLOTS)
        if (same_shape(&p->gemms[p->slots[slot] - 1], shape)) return &p->gemms[p->slots[slot] - 1];
    if (p->gemm_count == MM_PROFILE_GEMMS) return NULL;
    mm_profile_gemm *entry = &p->gemms[p->gemm_count++];
    p->slots[slot] = (int16_t)p->gemm_count;
    *entry = *shape;
    entry->calls = 0;
    entry->seconds = 0;
    return entry;
}

static void add_gemm(struct mm_profile *p, const mm_profile_gemm *shape, int64_t calls, double seconds) {
    mm_profile_gemm *entry = entry_of(p, shape);
    if (!entry) {
        p->gemms_left_out += calls;
        return;
    }
    entry->calls += calls;
    entry->seconds += seconds;
}

void mm_profile_gemm_ended(const mm_profile_gemm *shape, double began) {
    struct mm_profile *p = mm_profile_mine;
    double seconds = mm_clock_seconds() - began;
    p->gemm_seconds += seconds;
    p->gemm_flops += 2.0 * (double)shape->m * (double)shape->n * (double)shape->k;
    if (state.stage == MM_PROFILE_OTHER) add_gemm(p, shape, 1, seconds);
}

// --- the launcher's

void mm_profile_enter(int worker) {
    if (!state.profiles || worker >= state.workers) return;
    struct mm_profile *p = mm_profile_mine = &state.profiles[worker];
    double now = mm_clock_seconds();
    if (worker == 0)
        charge_until(p, now, MM_PROFILE_OTHER, MM_PASS_NONE);
    else
        charge_idle(p, now);
}

void mm_profile_leave(void) {
    mm_profile_mark(MM_PROFILE_OTHER, MM_PASS_NONE);
    mm_profile_mine = NULL;
}

void mm_profile_joined(void) {
    if (!state.profiles) return;
    state.joined = mm_clock_seconds();
    mm_profile_mine = state.profiles;
    charge_until(mm_profile_mine, state.joined, MM_PROFILE_WAIT, MM_PASS_NONE);
}

void mm_profile_waited(double began) {
    struct mm_profile *p = mm_profile_mine;
    double waited = mm_clock_seconds() - began;
    mm_profile_op op = state.stage == MM_PROFILE_OTHER ? MM_PROFILE_WAIT : state.stage;
    p->rows[op][MM_PASS_NONE].seconds += waited;
    p->last += waited;
}

// --- the sum

double mm_profile_gemm_seconds(void) {
    assert(state.profiles);
    double seconds = 0;
    for (int w = 0; w < state.workers; w++)
        for (int op = 0; op < MM_PROFILE_OPS; op++)
            for (int pass = 0; pass < MM_PROFILE_PASSES; pass++)
                seconds += state.profiles[w].rows[op][pass].gemm_seconds;
    return seconds;
}

void mm_profile_stop(mm_profile_sum *sum) {
    assert(state.profiles);
    charge_all();
    struct mm_profile *all = &state.profiles[0];
    *sum = (mm_profile_sum){.workers = state.workers, .seconds = all->last - state.began};
    for (int w = 0; w < state.workers; w++) {
        const struct mm_profile *p = &state.profiles[w];
        for (int op = 0; op < MM_PROFILE_OPS; op++)
            for (int pass = 0; pass < MM_PROFILE_PASSES; pass++) {
                sum->rows[op][pass].seconds += p->rows[op][pass].seconds;
                sum->rows[op][pass].gemm_seconds += p->rows[op][pass].gemm_seconds;
                sum->rows[op][pass].gemm_flops += p->rows[op][pass].gemm_flops;
            }
        if (w == 0) continue;
        for (int i = 0; i < p->gemm_count; i++)
            add_gemm(all, &p->gemms[i], p->gemms[i].calls, p->gemms[i].seconds);
        all->gemms_left_out += p->gemms_left_out;
    }
    memcpy(sum->gemms, all->gemms, (size_t)all->gemm_count * sizeof *all->gemms);
    sum->gemm_count = all->gemm_count;
    sum->gemms_left_out = all->gemms_left_out;
    free(state.profiles);
    state.profiles = NULL;
    mm_profile_mine = NULL;
}
