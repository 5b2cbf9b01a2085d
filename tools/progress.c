#include "progress.h"
#include <errno.h>
#include <mm/base/clock.h>
#include <mm/base/utf8.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

static const double redraw_seconds = 1.0 / 6, plain_seconds = 10;
enum { EXPECT_MICROSECONDS = 90000, NARROWEST = 20, USUAL_WIDTH = 80 };

static struct {
    bool known, terminal, colour;
    volatile sig_atomic_t drawn; // a line stands on the terminal that is not ended
    double last;                 // when something was shown
    char expected[256];          // what the alarm says
    volatile sig_atomic_t expected_size;
} state;

// A terminal that knows no escape sequences, as an editor's, is written to as a pipe is.
static bool is_terminal(void) {
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

static bool wants_colour(void) {
    const char *no = getenv("NO_COLOR");
    return !(no && *no);
}

static void look(void) {
    if (state.known) return;
    state.known = true;
    state.terminal = is_terminal();
    state.colour = state.terminal && wants_colour();
}

bool progress_on_terminal(void) {
    look();
    return state.terminal;
}

const char *progress_quiet(void) {
    look();
    return state.colour ? "\033[2m" : "";
}

const char *progress_plain(void) {
    look();
    return state.colour ? "\033[0m" : "";
}

static int terminal_width(void) {
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col == 0) return USUAL_WIDTH;
    return size.ws_col < NARROWEST ? NARROWEST : size.ws_col;
}

// One write, so that what a signal handler writes never falls into the middle.
static void put(const mm_text *text) {
    size_t done = 0;
    while (done < text->size) {
        ssize_t wrote = write(STDERR_FILENO, text->data + done, text->size - done);
        if (wrote <= 0) return; // nobody listens: the work goes on
        done += (size_t)wrote;
    }
}

static size_t escape_length(const char *at) {
    if (at[0] != '\033' || at[1] != '[') return 0;
    size_t length = 2;
    while (at[length] && !(at[length] >= '@' && at[length] <= '~')) length++;
    return at[length] ? length + 1 : length;
}

void progress_clip(mm_text *out, const char *line, int width) {
    int column = 0;
    while (*line) {
        size_t length = escape_length(line);
        if (length) {
            mm_text_add(out, line, length);
            line += length;
            continue;
        }
        length = 1;
        while (mm_utf8_continues(line[length])) length++;
        if (column++ < width) mm_text_add(out, line, length);
        line += length;
    }
}

static void disarm(void) {
    if (!state.expected_size) return;
    state.expected_size = 0;
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
}

static void on_alarm(int signal) {
    (void)signal;
    const int kept = errno;
    size_t size = (size_t)state.expected_size;
    ssize_t wrote = size ? write(STDERR_FILENO, state.expected, size) : 0;
    (void)wrote; // nobody listens
    errno = kept;
}

static void arm(const char *what) {
    int size = snprintf(state.expected, sizeof state.expected, "%s ...\n", what);
    state.expected_size = size < (int)sizeof state.expected ? size : (int)sizeof state.expected - 1;
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGALRM, &action, NULL)) return;
    struct itimerval once = {.it_value = {.tv_usec = EXPECT_MICROSECONDS}};
    setitimer(ITIMER_REAL, &once, NULL);
}

void progress_expect(const char *what) {
    look();
    if (!state.terminal) {
        state.last = mm_clock_seconds();
        arm(what);
        return;
    }
    mm_text line = {0};
    mm_text_format(&line, "%s ...", what);
    progress_show(&line, false);
    mm_text_free(&line);
}

bool progress_due(void) {
    look();
    return mm_clock_seconds() - state.last >= (state.terminal ? redraw_seconds : plain_seconds);
}

void progress_show(const mm_text *line, bool keep) {
    look();
    disarm();
    mm_text out = {0};
    if (state.drawn) mm_text_add_string(&out, "\r\033[K");
    if (state.terminal && !keep)
        // The last column stays free: some terminals go to the next line when it is filled.
        progress_clip(&out, line->data ? line->data : "", terminal_width() - 1);
    else if (line->data)
        mm_text_add(&out, line->data, line->size);
    mm_text_add_string(&out, progress_plain());
    bool ends = keep || !state.terminal;
    if (ends) mm_text_add_string(&out, "\n");
    state.drawn = !ends;
    put(&out);
    mm_text_free(&out);
    state.last = mm_clock_seconds();
}

void progress_share(const char *what, double share) {
    if (!progress_due()) return;
    mm_text line = {0};
    if (share >= 0)
        mm_text_format(&line, "%s  %3.0f%%", what, 100 * (share < 1 ? share : 1));
    else
        mm_text_format(&line, "%s ...", what);
    progress_show(&line, false);
    mm_text_free(&line);
}

void progress_clear(void) {
    disarm();
    if (!state.drawn) return;
    mm_text out = {0};
    mm_text_add_string(&out, "\r\033[K");
    put(&out);
    mm_text_free(&out);
    state.drawn = 0;
}

const char *progress_fresh_line(void) {
    return state.drawn ? "\r\033[K" : "";
}
