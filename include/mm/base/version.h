// What this program is built from.
#ifndef MM_BASE_VERSION_H
#define MM_BASE_VERSION_H

// The project's version and, behind a +, the commit: "0.1.0+4b1f0c2a9d3e", with ".changed-5f6e7d8c" where
// files differed from it, the digits from what differed in the sources; "0.1.0+unknown" where neither git nor
// an archive of it says. Static.
const char *mm_build_version(void);

#endif
