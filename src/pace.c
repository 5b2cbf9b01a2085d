#include "pace.h"
#include <stdlib.h>

void mm_pace_begin(mm_pace *p, double now) {
    p->began = p->marked = now;
}

void mm_pace_mark(mm_pace *p, mm_pace_part part, double now) {
    double seconds = now - p->marked;
    p->marked = now;
    if (part == MM_PACE_STEP) p->steps[p->counts[part] % MM_PACE_WINDOW] = seconds;
    p->sums[part] += seconds;
    p->counts[part]++;
}

void mm_pace_step(mm_pace *p, int64_t tokens, double now) {
    p->tokens[p->counts[MM_PACE_STEP] % MM_PACE_WINDOW] = tokens;
    mm_pace_mark(p, MM_PACE_STEP, now);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// How many of the last steps count: few enough to follow a machine whose speed changes, and more of them in a
// long run, whose steps may be short.
static int64_t window(int64_t steps) {
    enum { LEAST = 32 };
    int64_t n = steps / 4 < LEAST ? LEAST : steps / 4;
    if (n > MM_PACE_WINDOW) n = MM_PACE_WINDOW;
    return n < steps ? n : steps;
}

static int64_t counted(int64_t steps) {
    int64_t n = window(steps);
    return n == steps && steps > 1 ? n - 1 : n;
}

// The seconds and targets of n steps together, of which none counts for more than three times the median, nor
// its targets then.
static void sum_up(const mm_pace *p, int64_t n, double *seconds, double *tokens) {
    enum { OUTLIER = 3 };
    const int64_t first = p->counts[MM_PACE_STEP] - n;
    double sorted[MM_PACE_WINDOW];
    for (int64_t i = 0; i < n; i++) sorted[i] = p->steps[(first + i) % MM_PACE_WINDOW];
    qsort(sorted, (size_t)n, sizeof *sorted, by_size);
    const double most = OUTLIER * sorted[n / 2];
    *seconds = *tokens = 0;
    for (int64_t i = 0; i < n; i++) {
        const double took = p->steps[(first + i) % MM_PACE_WINDOW];
        const double share = took > most ? most / took : 1;
        *seconds += share * took;
        *tokens += share * (double)p->tokens[(first + i) % MM_PACE_WINDOW];
    }
}

double mm_pace_step_seconds(const mm_pace *p) {
    int64_t n = counted(p->counts[MM_PACE_STEP]);
    double seconds, tokens;
    if (n == 0) return 0;
    sum_up(p, n, &seconds, &tokens);
    return seconds / (double)n;
}

double mm_pace_tokens_per_second(const mm_pace *p) {
    int64_t n = counted(p->counts[MM_PACE_STEP]);
    double seconds, tokens;
    if (n == 0) return 0;
    sum_up(p, n, &seconds, &tokens);
    return tokens / seconds;
}

// How many times a part comes after the steps first + 1 to last.
static int64_t times(const mm_pace_cost *cost, int64_t first, int64_t last) {
    int64_t count = cost->every ? last / cost->every - first / cost->every : 0;
    bool ends = cost->every && last % cost->every == 0;
    return count + (cost->at_end && !ends);
}

double mm_pace_left(const mm_pace *p) {
    enum { KNOWN_AFTER = 3 };
    int64_t done = p->counts[MM_PACE_STEP];
    if (done < KNOWN_AFTER) return -1;
    double step = mm_pace_step_seconds(p), left = step * (double)(p->last - p->first - done);
    for (int part = MM_PACE_STEP + 1; part < MM_PACE_PARTS; part++) {
        const mm_pace_cost *cost = &p->costs[part];
        double each =
            p->counts[part] ? p->sums[part] / (double)p->counts[part] : cost->steps * step + cost->seconds;
        int64_t to_come = times(cost, p->first, p->last) - p->counts[part];
        if (to_come > 0) left += each * (double)to_come;
    }
    return left;
}
