// Cutting a trace back to a step. Private to this folder.
#ifndef MM_RECORD_TRACE_CUT_H
#define MM_RECORD_TRACE_CUT_H

#include <mm/base/probe.h>
#include <mm/base/status.h>
#include <stdint.h>

// `trace` is the run's, and is replaced by one rename. It then ends with step `keep`; the same lines make the
// same bytes. What a kill left behind that step is dropped; damage up to it is trouble. A header is added if
// the steps to come are of another level.
MM_CHECKED mm_status trace_cut_back(const char *run_path, const char *trace, mm_level level, int64_t keep,
                                    mm_error *error);

#endif
