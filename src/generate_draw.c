#include "generate_draw.h"
#include <mm/base/mathfn.h>
#include <mm/base/rng.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_TOP_K = 40, DEFAULT_SEED = 1337 };

typedef struct candidate {
    float logit;
    int32_t id;
} candidate;

struct mm_sampler {
    mm_sampling sampling;
    int vocab;
    float *penalised; // vocab: the logits after the penalty
    bool *there;      // vocab: the token is in the sequence
    candidate *heap;  // vocab
    candidate *kept;  // vocab: what was taken from the heap, in falling order
    double *weights;  // vocab: e^((logit - largest) / temperature), of kept
};

mm_sampling mm_sampling_default(void) {
    return (mm_sampling){.temperature = 0.8,
                         .top_k = DEFAULT_TOP_K,
                         .top_p = 0.95,
                         .repetition_penalty = 1,
                         .seed = DEFAULT_SEED};
}

mm_status mm_sampler_open(const mm_sampling *sampling, int vocab, mm_sampler **out, mm_error *error) {
    mm_sampler *s = *out = calloc(1, sizeof *s);
    if (s) {
        s->sampling = *sampling;
        s->vocab = vocab;
        s->penalised = malloc((size_t)vocab * sizeof *s->penalised);
        s->there = malloc((size_t)vocab * sizeof *s->there);
        s->heap = malloc((size_t)vocab * sizeof *s->heap);
        s->kept = malloc((size_t)vocab * sizeof *s->kept);
        s->weights = malloc((size_t)vocab * sizeof *s->weights);
        if (s->penalised && s->there && s->heap && s->kept && s->weights) return MM_OK;
    }
    mm_sampler_close(s);
    *out = NULL;
    return mm_trouble(error, "sampling from a vocabulary of %d: out of memory", vocab);
}

void mm_sampler_close(mm_sampler *s) {
    if (!s) return;
    free(s->penalised);
    free(s->there);
    free(s->heap);
    free(s->kept);
    free(s->weights);
    free(s);
}

void mm_sampler_series(mm_sampler *s, uint32_t series) {
    s->sampling.series = series;
}

static mm_status check_finite(const float *logits, int vocab, int64_t position, mm_error *error) {
    for (int32_t id = 0; id < vocab; id++)
        if (!isfinite(logits[id]))
            return mm_fail(
                error, MM_NONFINITE,
                "the logit of token %d at position %lld is %g, expected a finite number; the model's weights "
                "are spoilt",
                id, (long long)position, mm_told((double)logits[id]));
    return MM_OK;
}

// In float, as transformers computes it: each token once, however often it is there.
static const float *penalise(mm_sampler *s, const float *logits, const int32_t *ids, int64_t count) {
    float penalty = (float)s->sampling.repetition_penalty;
    memcpy(s->penalised, logits, (size_t)s->vocab * sizeof *logits);
    memset(s->there, 0, (size_t)s->vocab * sizeof *s->there);
    for (int64_t i = 0; i < count; i++) {
        int32_t id = ids[i];
        if (s->there[id]) continue;
        s->there[id] = true;
        s->penalised[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
    }
    return s->penalised;
}

static int32_t largest(const float *logits, int vocab) {
    int32_t best = 0;
    for (int32_t id = 1; id < vocab; id++)
        if (logits[id] > logits[best]) best = id;
    return best;
}

// --- a heap: the largest candidate first

static bool before(candidate a, candidate b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

static void sift_down(candidate *heap, int size, int at) {
    candidate moved = heap[at];
    for (int child; (child = 2 * at + 1) < size; at = child) {
        if (child + 1 < size && before(heap[child + 1], heap[child])) child++;
        if (!before(heap[child], moved)) break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

static void make_heap(mm_sampler *s, const float *logits) {
    for (int32_t id = 0; id < s->vocab; id++) s->heap[id] = (candidate){logits[id], id};
    for (int at = s->vocab / 2; at-- > 0;) sift_down(s->heap, s->vocab, at);
}

static candidate pop(candidate *heap, int *size) {
    candidate top = heap[0];
    heap[0] = heap[--*size];
    if (*size > 1) sift_down(heap, *size, 0);
    return top;
}

// --- what is kept

static double weight_of(const mm_sampler *s, float logit, float most) {
    return mm_exp(((double)logit - (double)most) / s->sampling.temperature);
}

// All, in order of ids. Returns their number; *total is their weights' sum.
static int keep_all(mm_sampler *s, const float *logits, double *total) {
    float most = logits[largest(logits, s->vocab)];
    *total = 0;
    for (int32_t id = 0; id < s->vocab; id++) {
        s->kept[id] = (candidate){logits[id], id};
        *total += s->weights[id] = weight_of(s, logits[id], most);
    }
    return s->vocab;
}

static double sum_of_all(const mm_sampler *s, const float *logits, float most) {
    double sum = 0;
    for (int32_t id = 0; id < s->vocab; id++) sum += weight_of(s, logits[id], most);
    return sum;
}

// Those that top-k and then top-p leave, in falling order. transformers removes what lies, summed from the
// smallest, at or below 1 - p: that keeps a candidate while the sum of those before it is below p.
static int keep_top(mm_sampler *s, const float *logits, double *total) {
    int64_t top_k = s->sampling.top_k;
    int most = top_k > 0 && top_k < s->vocab ? (int)top_k : s->vocab, left = s->vocab, count = 0;
    make_heap(s, logits);
    float first = s->heap[0].logit;
    double whole = 0;
    if (most == s->vocab) {
        whole = sum_of_all(s, logits, first);
    } else {
        for (; count < most; count++) {
            s->kept[count] = pop(s->heap, &left);
            whole += s->weights[count] = weight_of(s, s->kept[count].logit, first);
        }
    }
    int taken = 0;
    for (*total = 0; taken < most && (taken == 0 || *total < s->sampling.top_p * whole); taken++) {
        if (taken == count) {
            s->kept[taken] = pop(s->heap, &left);
            s->weights[taken] = weight_of(s, s->kept[taken].logit, first);
            count++;
        }
        *total += s->weights[taken];
    }
    return taken;
}

// A number in [0, 1) with 53 bits, for the token at `position`.
static double uniform(const mm_sampling *sampling, int64_t position) {
    mm_draw draw = {.key = sampling->seed, .word2 = sampling->series};
    mm_stream stream = mm_stream_of(&draw, MM_PURPOSE_GENERATE, 0, 0);
    uint64_t low = mm_stream_word(&stream, 2 * (uint64_t)position);
    uint64_t high = mm_stream_word(&stream, 2 * (uint64_t)position + 1);
    return (double)((high << 32 | low) >> 11) * 0x1p-53;
}

mm_status mm_sampler_draw(mm_sampler *s, const float *logits, const int32_t *ids, int64_t position,
                          int32_t *id, mm_error *error) {
    mm_status status = check_finite(logits, s->vocab, position, error);
    if (status) return status;
    double penalty = s->sampling.repetition_penalty;
    if (penalty > 1 || (penalty > 0 && penalty < 1)) {
        logits = penalise(s, logits, ids, position);
        status = check_finite(logits, s->vocab, position, error);
        if (status) return status;
    }
    if (s->sampling.temperature <= 0) {
        *id = largest(logits, s->vocab);
        return MM_OK;
    }
    double total, sum = 0;
    bool whole = s->sampling.top_k <= 0 && s->sampling.top_p >= 1;
    int count = whole ? keep_all(s, logits, &total) : keep_top(s, logits, &total), at = 0;
    double point = uniform(&s->sampling, position) * total;
    // Rounding may leave the sum at or below the point; then it is the last.
    for (; at + 1 < count && (sum += s->weights[at]) <= point; at++) continue;
    *id = s->kept[at].id;
    return MM_OK;
}
