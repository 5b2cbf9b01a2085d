// The launcher of workers: the only place of OpenMP, of affinity and of the floating-point environment.
#ifndef MM_BASE_PAR_H
#define MM_BASE_PAR_H

// Cores that this process may use: the smaller of its affinity and its cgroup's CPU quota (rounded up), at
// least 1.
int mm_par_cores(void);

// How many of `workers` threads the system gives at once, the caller's among them; mm_par_run and mm_par_team
// use no more. The first call with a number larger than any before starts that many threads to find out: make
// it before other threads call these.
int mm_par_threads(int workers);

// Threads stay from the first call of the two below that has so many workers, since those that went might not
// be had again; idle ones cost time in every call. This lets them go at the next call with several workers,
// as when a run follows the packing of its text.
void mm_par_let_go(void);

// Calls work(self, w) once for each worker w in 0..workers-1, on as many threads as the system gives (the
// caller's is one of them), and returns when all have returned. A thread may run several workers one after
// another where the system gives fewer, so workers must not wait for each other. Every worker starts with
// IEEE defaults: rounding to nearest, subnormals kept, whatever a library has set.
void mm_par_run(int workers, void (*work)(void *self, int worker), void *self);

// Workers that run at once, each on a thread of its own, and so may wait for each other.
typedef struct mm_team {
    int workers; // how many there are
    struct mm_barrier *barrier;
    struct mm_barrier *parts; // of its parts; NULL: it is one
} mm_team;

// One worker, who waits for nobody.
extern const mm_team mm_team_alone;

// Calls work(self, team, w) for each worker w in 0..team->workers-1, all at once, and returns when all have
// returned. There are `workers` of them, or fewer where the system gives fewer threads or no memory: they cut
// their work by team->workers. Worker 0 is the caller's thread. IEEE defaults as above.
void mm_par_team(int workers, void (*work)(void *self, const mm_team *team, int worker), void *self);
// Every worker of the team waits here for the others; what each wrote before is seen by all after. A worker
// waits awake for some microseconds (not where there are more workers than cores), then asleep, so that a
// team takes little time from others on busy cores.
void mm_team_wait(const mm_team *team);
// Splits a team into `parts` teams of neighbours, at most as many as there are workers. Fills `part` with
// that of `worker`, sets *worker to its number there and returns the part's. All workers must have left the
// parts of an earlier split before the first enters those of the next. A part is not split again.
int mm_team_split(const mm_team *team, int parts, int *worker, mm_team *part);

// IEEE defaults for the calling thread.
void mm_par_ieee(void);

// The part [*begin, *end) of n items that worker w of `workers` takes when they are cut into even, ordered
// parts whose bounds are multiples of `grain`.
void mm_par_slice(long n, long grain, int worker, int workers, long *begin, long *end);

#endif
