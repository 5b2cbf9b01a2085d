// What this program is built from.
#ifndef MM_BASE_VERSION_H
#define MM_BASE_VERSION_H

// The project's version and, behind a +, the commit: "0.1.0+4b1f0c2a9d3e", with ".changed-5f6e7d8c" where
// sources differed from it, the digits from what differed. Where git knows nothing the digits are of all
// sources, behind the commit of an archive or "unknown": "0.1.0+unknown.tree-5f6e7d8c". Static.
const char *mm_build_version(void);

#endif
