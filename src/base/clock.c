#include <mm/base/clock.h>

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

double mm_clock_seconds(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now)) return 0;
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

char *mm_clock_print(double seconds, char text[16]) {
    if (!(seconds > 0)) seconds = 0;  // NaN too
    if (seconds > 1e9) seconds = 1e9; // 31 years: what 16 characters hold
    // Rounded to the smaller unit first, so that no "60" appears in it.
    if (seconds < 59.95) {
        snprintf(text, 16, "%.1fs", seconds);
        return text;
    }
    unsigned small = (unsigned)(seconds + 0.5), base = 60;
    char units[2] = {'m', 's'};
    if (small >= 3600) {
        small = (unsigned)(seconds / 60 + 0.5);
        units[0] = 'h', units[1] = 'm';
        if (small >= 24 * 60) {
            small = (unsigned)(seconds / 3600 + 0.5);
            base = 24;
            units[0] = 'd', units[1] = 'h';
        }
    }
    snprintf(text, 16, "%u%c%02u%c", small / base, units[0], small % base, units[1]);
    return text;
}

double mm_resident_bytes(void) {
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    long pages = 0;
    if (fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

double mm_resident_peak_bytes(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage)) return 0;
    return (double)usage.ru_maxrss * 1024; // Linux counts it in KiB
}
