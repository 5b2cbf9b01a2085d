// What run.json says of a run that begins.
#include "trainer.h"
#include <mm/base/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Every stream's key, from the functions that training draws with.
static bool list_streams(const mm_trainer *t, mm_run_facts *facts) {
    const mm_settings *s = &t->settings;
    facts->streams = calloc(MM_STREAM_PURPOSES * (size_t)s->ranks, sizeof *facts->streams);
    if (!facts->streams) return false;
    mm_listed_stream listed;
    for (size_t i = 0; mm_stream_listed((mm_seed_policy)s->seed_policy, s->seed, (int)s->ranks, i, &listed);
         i++) {
        mm_run_stream *stream = &facts->streams[facts->stream_count++];
        *stream = (mm_run_stream){.rank = listed.rank, .key = listed.key};
        snprintf(stream->purpose, sizeof stream->purpose, "%s", listed.purpose);
    }
    return true;
}

static bool list_initial(const mm_trainer *t, mm_run_facts *facts) {
    const mm_parameters *p = &t->model.parameters;
    facts->initial = calloc((size_t)p->count, sizeof *facts->initial);
    if (!facts->initial) return false;
    for (int i = 0; i < p->count; i++) {
        mm_tensor tensor = mm_parameter_in(p, i, t->weights);
        mm_run_tensor *out = &facts->initial[facts->initial_count++];
        out->name = strdup(tensor.name);
        if (!out->name) return false;
        out->dims = tensor.dims;
        memcpy(out->shape, tensor.shape, sizeof out->shape);
        out->hash = mm_hash_bytes(tensor.data, mm_tensor_bytes(&tensor));
    }
    return true;
}

static bool describe_data(const mm_source *source, const char *path, mm_run_data *out) {
    if (!source->dataset) return true;
    *out = (mm_run_data){.path = strdup(path),
                         .hash = mm_dataset_hash(source->dataset),
                         .tokenizer = mm_dataset_tokenizer_hash(source->dataset),
                         .tokens = mm_dataset_tokens(source->dataset),
                         .documents = mm_dataset_documents(source->dataset),
                         .samples = source->plan.samples};
    return out->path != NULL;
}

static bool copy_command(int argc, char *const *argv, mm_run_facts *facts) {
    facts->argv = calloc((size_t)argc + 1, sizeof *facts->argv);
    if (!facts->argv) return false;
    for (; facts->argc < argc; facts->argc++) {
        facts->argv[facts->argc] = strdup(argv[facts->argc]);
        if (!facts->argv[facts->argc]) return false;
    }
    return true;
}

static mm_status describe_program(const mm_trainer *t, mm_run_program *p, mm_error *error) {
    *p = (mm_run_program){.version = strdup(mm_build_version()),
                          .build_type = strdup(MM_BUILD_TYPE),
                          .isa = strdup(mm_isa_name(t->kernels->isa)),
                          .gemm_kernel = strdup(mm_gemm_kernel(t->gemm)),
                          .gemm_version = strdup(mm_gemm_version(t->gemm))};
    if (!p->version || !p->build_type || !p->isa || !p->gemm_kernel || !p->gemm_version)
        return mm_trouble(error, "run.json: out of memory");
    return mm_run_program_machine(p, error);
}

static bool describe_model(const mm_trainer *t, mm_run_facts *facts) {
    mm_text config = {0};
    mm_config_write(&t->model.config, MM_F32, &config);
    facts->model_config = config.data;
    facts->parameters = t->model.parameters.numbers;
    facts->streams_version = MM_STREAMS_VERSION;
    facts->arithmetic_version = MM_ARITHMETIC_VERSION;
    return !config.failed;
}

mm_status mm_trainer_facts(const mm_trainer *t, int argc, char *const *argv, mm_run_facts *facts,
                           mm_error *error) {
    *facts = (mm_run_facts){0};
    bool complete = mm_settings_copy(&facts->settings, &t->settings, NULL) == MM_OK &&
                    copy_command(argc, argv, facts) && describe_model(t, facts) && list_streams(t, facts) &&
                    list_initial(t, facts) && describe_data(&t->train, t->settings.data, &facts->data) &&
                    describe_data(&t->val, t->settings.val_data, &facts->val_data);
    mm_status status =
        complete ? describe_program(t, &facts->program, error) : mm_trouble(error, "run.json: out of memory");
    if (status) mm_run_facts_free(facts);
    return status;
}

mm_status mm_trainer_keep_program(const mm_trainer *t, mm_run_facts *facts, bool *changed, mm_error *error) {
    mm_run_program program;
    bool other = false;
    mm_status status = describe_program(t, &program, error);
    if (!status) status = mm_run_facts_continue(facts, t->step, &program, &other, error);
    mm_run_program_free(&program);
    *changed |= other;
    return status;
}
