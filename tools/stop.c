#include "stop.h"
#include "progress.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t asked;
static const char *promise_text;

// Only what is safe in a handler: write, signal, raise, sigprocmask, _exit.
static void say(const char *text) {
    if (write(STDERR_FILENO, text, strlen(text)) < 0) return;
}

static void on_signal(int number) {
    int kept = errno;
    say(progress_fresh_line());
    if (asked) {
        signal(number, SIG_DFL);
        raise(number);
        sigset_t own;
        sigemptyset(&own);
        sigaddset(&own, number);
        sigprocmask(SIG_UNBLOCK, &own, NULL); // it comes here, but not to a container's first process
        _exit(128 + number);
    } else {
        asked = 1;
        say(promise_text);
    }
    errno = kept;
}

const volatile sig_atomic_t *stop_watch(const char *promise) {
    promise_text = promise;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, old;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (!sigaction(SIGHUP, NULL, &old) && old.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    return &asked;
}
