// What long work shows on stderr. On a terminal one line is redrawn at most six times a second; elsewhere a
// plain line comes now and then. One thread at a time.
#ifndef MM_TOOLS_PROGRESS_H
#define MM_TOOLS_PROGRESS_H

#include <mm/base/text.h>
#include <stdbool.h>

// Something will be said within a tenth of a second: at once on a terminal, elsewhere when work has lasted
// that long (so that trouble found at once is the only line).
void progress_expect(const char *what);
// Is it time for a line that may as well be left out: 1/6 s after the last one on a terminal, 10 s elsewhere?
bool progress_due(void);
// Shows a line; `keep` leaves it and begins a new one. Calls without `keep` are due by progress_due.
void progress_show(const mm_text *line, bool keep);
// The share (0..1; negative: not known) of what is being done, when due.
void progress_share(const char *what, double share);
// Takes the redrawn line away, before other output or the end.
void progress_clear(void);

bool progress_on_terminal(void);
// Escape sequences for quiet text and back to plain, "" without colour (no terminal, NO_COLOR, TERM=dumb).
const char *progress_quiet(void);
const char *progress_plain(void);

// Adds the line, cut to `width` columns: escape sequences take none, a character of UTF-8 one.
void progress_clip(mm_text *out, const char *line, int width);
// What a signal handler must write first so that its own words stand on a clean line ("" if the line is
// clean).
const char *progress_fresh_line(void);

#endif
