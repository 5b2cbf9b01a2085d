// How fast a run goes and how long it will take yet, from clocks that are passed in.
#ifndef MM_SRC_PACE_H
#define MM_SRC_PACE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum mm_pace_part { MM_PACE_STEP, MM_PACE_VALIDATION, MM_PACE_SAMPLE, MM_PACE_SAVE } mm_pace_part;
enum { MM_PACE_PARTS = 4, MM_PACE_WINDOW = 256 };

// When a part comes besides the steps, and what it costs each time as long as none was seen: as much as
// `steps` steps, and `seconds` more.
typedef struct mm_pace_cost {
    int64_t every; // steps; 0: never
    bool at_end;   // after the last step too
    double steps;
    double seconds;
} mm_pace_cost;

typedef struct mm_pace {
    int64_t first, last;               // the step before this process's first, and the run's last
    mm_pace_cost costs[MM_PACE_PARTS]; // but of steps
    double began, marked;
    int64_t counts[MM_PACE_PARTS];
    double sums[MM_PACE_PARTS];     // seconds
    double steps[MM_PACE_WINDOW];   // seconds of the last steps: step i of the process at i mod window
    int64_t tokens[MM_PACE_WINDOW]; // and their targets
} mm_pace;

// Begins at `now`, after step `first`; the costs are set before.
void mm_pace_begin(mm_pace *pace, double now);
// The time since the last mark went to this part, which is at its end.
void mm_pace_mark(mm_pace *pace, mm_pace_part part, double now);
// The same of a step, with its targets.
void mm_pace_step(mm_pace *pace, int64_t tokens, double now);
// Seconds of a step: the mean over the last ones. The process's first step is left out as soon as there is a
// second, and none counts for more than three times the median: memory that is touched for the first time, or
// another program, slows single steps. 0 before the first.
double mm_pace_step_seconds(const mm_pace *pace);
// Targets a second over the same steps; 0 before the first.
double mm_pace_tokens_per_second(const mm_pace *pace);
// Seconds until the run's end; negative before the third step.
double mm_pace_left(const mm_pace *pace);

#endif
