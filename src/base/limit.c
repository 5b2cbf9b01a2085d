#include "limit.h"

#include <limits.h>
#include <math.h>
#include <mm/base/clock.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

// Reads one limit in the control group's folder `folder`; infinity without one.
typedef double read_limit(const char *folder);

// The file's first line without its end; false if it cannot be read.
static bool first_line(const char *folder, const char *name, char *line, int size) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return false;
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool read = fgets(line, size, file) != NULL;
    fclose(file);
    if (read) line[strcspn(line, "\n")] = 0;
    return read;
}

// A positive number; infinity for anything else ("max", -1, a file that is not there).
static double number_in(const char *folder, const char *name) {
    char line[128];
    double number;
    if (!first_line(folder, name, line, sizeof line)) return INFINITY;
    return sscanf(line, "%lf", &number) == 1 && number > 0 ? number : INFINITY;
}

static double cpus_v2(const char *folder) {
    char line[128];
    double quota, period;
    if (!first_line(folder, "cpu.max", line, sizeof line)) return INFINITY;
    return sscanf(line, "%lf %lf", &quota, &period) == 2 && quota > 0 && period > 0 ? quota / period
                                                                                    : INFINITY;
}

static double cpus_v1(const char *folder) {
    double period = number_in(folder, "cpu.cfs_period_us");
    return period < INFINITY ? number_in(folder, "cpu.cfs_quota_us") / period : INFINITY;
}

static double memory_v2(const char *folder) {
    return number_in(folder, "memory.max");
}

static double memory_v1(const char *folder) {
    return number_in(folder, "memory.limit_in_bytes");
}

// The smallest limit on the way from `mount`/`group` up to `mount`: a child is bound by its parents' limits.
static double smallest_up(const char *mount, const char *group, read_limit *read) {
    char folder[PATH_MAX];
    size_t root = strlen(mount);
    if (snprintf(folder, sizeof folder, "%s%s", mount, group) >= (int)sizeof folder) return INFINITY;
    double smallest = INFINITY;
    for (;;) {
        smallest = fmin(smallest, read(folder));
        char *slash = strrchr(folder + root, '/');
        if (!slash) return smallest;
        *slash = 0;
    }
}

// Is `name` one of the names in the list "a,b,c"?
static bool listed(const char *list, const char *name) {
    size_t length = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',')) {
        if (*at == ',') at++;
        if (!strncmp(at, name, length) && (at[length] == ',' || !at[length])) return true;
    }
    return false;
}

// The smallest limit over this process's groups. A line of `groups` is "number:controllers:/group"; version 2
// has no controllers. Version 1 mounts each list of controllers in a folder of its name.
static double smallest_of(const char *groups, const char *mount, const char *controller, read_limit *v2,
                          read_limit *v1) {
    FILE *file = fopen(groups, "re");
    if (!file) return INFINITY;
    double smallest = INFINITY;
    char line[PATH_MAX], root[PATH_MAX];
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *list = strchr(line, ':');
        char *group = list ? strchr(list + 1, ':') : NULL;
        if (!group) continue;
        list++;
        *group++ = 0;
        if (!*list) {
            smallest = fmin(smallest, smallest_up(mount, group, v2));
        } else if (listed(list, controller)) {
            if (snprintf(root, sizeof root, "%s/%s", mount, list) < (int)sizeof root)
                smallest = fmin(smallest, smallest_up(root, group, v1));
            if (snprintf(root, sizeof root, "%s/%s", mount, controller) < (int)sizeof root)
                smallest = fmin(smallest, smallest_up(root, group, v1));
        }
    }
    fclose(file);
    return smallest;
}

double mm_limits_group_cpus(const char *groups, const char *mount) {
    return smallest_of(groups, mount, "cpu", cpus_v2, cpus_v1);
}

double mm_limits_group_memory(const char *groups, const char *mount) {
    return smallest_of(groups, mount, "memory", memory_v2, memory_v1);
}

double mm_limits_cpus(void) {
    return mm_limits_group_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
}

static double system_memory(void) {
    FILE *file = fopen("/proc/meminfo", "re");
    if (!file) return INFINITY;
    char line[256];
    double available = -1, swap = 0;
    while (fgets(line, sizeof line, file)) {
        sscanf(line, "MemAvailable: %lf", &available);
        sscanf(line, "SwapFree: %lf", &swap);
    }
    fclose(file);
    return available < 0 ? INFINITY : (available + swap) * 1024; // in KiB there
}

static double set_limit = INFINITY;

void mm_limits_set_memory(double bytes) {
    set_limit = bytes;
}

static double group_memory(void) {
    return mm_limits_group_memory("/proc/self/cgroup", "/sys/fs/cgroup");
}

bool mm_limits_memory_is_set(void) {
    return set_limit < group_memory() && set_limit - mm_resident_bytes() < system_memory();
}

double mm_limits_memory(void) {
    double group = group_memory();
    // These bound what a process takes in all, and what it has counts already.
    double in_all = fmin(set_limit, group) - mm_resident_bytes();
    return fmin(system_memory(), in_all < 0 ? 0 : in_all);
}
