// What the system lets this process use, read from /proc and from its control groups (v2 and v1).
#ifndef MM_LIMIT_H
#define MM_LIMIT_H

#include <stdbool.h>

// Bytes that may still be allocated: the smaller of what the kernel says is available (swap included) and
// what the control groups' limits, and the one that was set, leave beside what the process has; infinity
// where nothing is said.
double mm_limits_memory(void);
void mm_limits_set_memory(double bytes);
// Is the limit that was set the smallest of them?
bool mm_limits_memory_is_set(void);

// Cores of the control groups' CPU quota, a fraction; infinity where there is none.
double mm_limits_cpus(void);

// The same with the files of another place, for tests: `groups` is like /proc/self/cgroup, `mount` like
// /sys/fs/cgroup.
double mm_limits_group_cpus(const char *groups, const char *mount);
double mm_limits_group_memory(const char *groups, const char *mount);

#endif
