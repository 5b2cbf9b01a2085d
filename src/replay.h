// What a replay holds. Private to src/*.c.
#ifndef MM_SRC_REPLAY_H
#define MM_SRC_REPLAY_H

#include "trainer.h"
#include <mm/run/replay.h>

struct mm_replay {
    mm_trainer trainer;
    mm_run_facts facts;
    mm_replay_watch watch;
};

void replay_doing(const mm_replay *replay, const char *what, double share);
// NULL in metrics.jsonl stands for every number that is not finite.
bool replay_same_number(double a, double b);

#endif
