// The launcher of workers: the only place of OpenMP, of affinity and of the floating-point environment.
#ifndef MM_BASE_PAR_H
#define MM_BASE_PAR_H

// Cores that this process may use: the smaller of its affinity and its cgroup's CPU quota (rounded up), at least 1.
int mm_par_cores(void);

// Calls work(self, w) once for each worker w in 0..workers-1, on as many threads as the system gives (the caller's
// is one of them), and returns when all have returned. A thread may run several workers one after another where the
// system gives fewer, so workers must not wait for each other. Every worker starts with IEEE defaults: rounding to
// nearest, subnormals kept, whatever a library has set.
void mm_par_run(int workers, void (*work)(void *self, int worker), void *self);

// IEEE defaults for the calling thread.
void mm_par_ieee(void);

// The part [*begin, *end) of n items that worker w of `workers` takes when they are cut into even, ordered parts
// whose bounds are multiples of `grain`.
void mm_par_slice(long n, long grain, int worker, int workers, long *begin, long *end);

#endif
