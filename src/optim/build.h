// adamw.c is compiled once for each build (see the list of builds in src/meson.build): it has only static
// functions and exports one table, whose name carries the build's suffix.
#ifndef MM_OPTIM_BUILD_H
#define MM_OPTIM_BUILD_H

#include <mm/optim/adamw.h>

MM_DECLARE_BUILDS(mm_optim_kernels, mm_optim);

#endif
