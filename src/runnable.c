#include "weights.h"
#include <mm/run/runnable.h>

mm_status mm_model_runnable(const char *folder, mm_error *error) {
    mm_config config;
    mm_tensor_files *files = NULL;
    mm_status status = mm_config_read(folder, &config, error);
    if (!status) status = mm_weights_find(&config, folder, &files, error);
    mm_tensor_files_close(files);
    return status;
}
