// The kernels are compiled once for each build (see the list of builds in src/meson.build): adamw.c has only
// static functions and exports one table, whose name carries the build's suffix.
#ifndef MM_OPTIM_BUILD_H
#define MM_OPTIM_BUILD_H

#include <mm/optim/adamw.h>

#define MM_PASTE_(name, suffix) name##suffix
#define MM_PASTE(name, suffix) MM_PASTE_(name, suffix)

#ifdef MM_ISA_SUFFIX
#define MM_BUILD(name) MM_PASTE(name, MM_ISA_SUFFIX)
extern const mm_optim_kernels MM_BUILD(mm_optim);
#endif

#endif
