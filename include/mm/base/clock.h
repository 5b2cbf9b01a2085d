// Time, for what people read: it never decides a number of a run.
#ifndef MM_BASE_CLOCK_H
#define MM_BASE_CLOCK_H

// Seconds of a monotonic clock.
double mm_clock_seconds(void);
// "4.1s", "1m12s", "2h05m", "3d04h" into `text`; returns `text`.
char *mm_clock_print(double seconds, char text[16]);
// Bytes resident now, and the most they have been; 0 where the system does not say.
double mm_resident_bytes(void);
double mm_resident_peak_bytes(void);

#endif
