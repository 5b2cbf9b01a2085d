// Ctrl-C and its kin: the first asks the work to end in order, the second ends the process at once.
#ifndef MM_TOOLS_STOP_H
#define MM_TOOLS_STOP_H

#include <signal.h>

// From now on SIGINT, SIGTERM and (unless it is ignored, as under nohup) SIGHUP set the flag that is
// returned, and say `promise` on stderr; the second of them acts as it does without a handler. A reader of
// stderr that goes away does not end the process.
const volatile sig_atomic_t *stop_watch(const char *promise);

#endif
