#include "checkpoint_keep.h"
#include <limits.h>
#include <mm/files/publish.h>
#include <mm/record/checkpoint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

mm_status checkpoint_retire(const char *path, mm_error *error) {
    char hidden[PATH_MAX];
    mm_status status = mm_hide(path, hidden, sizeof hidden, error);
    return status ? status : mm_remove_folder(hidden, error);
}

static mm_status lead_to(const char *run_path, int64_t step, mm_error *error) {
    char link[PATH_MAX], target[64], found[sizeof target + 1] = "";
    mm_status status = mm_path_join(link, sizeof link, run_path, "model", error);
    if (status) return status;
    snprintf(target, sizeof target, MM_CHECKPOINT, (long long)step);
    ssize_t size = readlink(link, found, sizeof found - 1);
    if (size > 0 && strcmp(found, target) == 0) return MM_OK;
    return mm_publish_link(link, target, error);
}

mm_status mm_checkpoint_settle(const char *run_path, int keep, mm_error *error) {
    int64_t *steps;
    int count;
    char path[PATH_MAX];
    mm_status status = mm_checkpoint_list(run_path, &steps, &count, error);
    if (status || !count) return status;
    status = lead_to(run_path, steps[count - 1], error);
    for (int i = 0; !status && keep && i < count - keep; i++) {
        status = mm_checkpoint_path(run_path, steps[i], path, sizeof path, error);
        if (!status) status = checkpoint_retire(path, error);
    }
    free(steps);
    if (!status) status = mm_path_join(path, sizeof path, run_path, MM_CHECKPOINTS, error);
    return status ? status : mm_remove_temporaries(path, error);
}
