// A run directory: everything that a training run read, drew and wrote (design: Commands).
#ifndef MM_RECORD_RUN_H
#define MM_RECORD_RUN_H

#include <mm/base/hash.h>
#include <mm/base/status.h>
#include <mm/base/tensor.h>
#include <mm/files/json.h>
#include <mm/record/settings.h>
#include <stdint.h>

typedef struct mm_run_stream {
    char purpose[32];
    int rank; // -1: the same for all
    uint64_t key;
} mm_run_stream;

typedef struct mm_run_tensor {
    char *name;
    int dims;
    int64_t shape[MM_MAX_DIMS];
    mm_hash hash;
} mm_run_tensor;

typedef struct mm_run_data {
    char *path; // absolute
    mm_hash hash, tokenizer;
    uint64_t tokens, documents, samples;
} mm_run_data;

// A program, and the machine on which it ran.
typedef struct mm_run_program {
    char *version, *compiler, *build_type, *isa; // build
    char *gemm_kernel, *gemm_version;
    char *cpu, *system;
    int cores;
} mm_run_program;

// run.json's "continued" has a member for each time that --resume went on with the run by another program, or
// on another machine, than the steps before: {"after": the step behind which it began, "build", "gemm",
// "machine": as of the run's start}. Where there was none the key is left out.
enum { MM_RUN_CONTINUED_MOST = 1024 }; // the oldest make room
typedef struct mm_run_continuation {
    int64_t after;
    mm_run_program program;
} mm_run_continuation;

// What run.json says. Strings are owned (malloc).
typedef struct mm_run_facts {
    int argc;
    char **argv;
    mm_settings settings;
    char *model_config; // config.json's text, whole: {"model_type": ...}
    int64_t parameters;
    mm_run_data data, val_data; // val_data.path NULL: none
    int streams_version, arithmetic_version;
    mm_run_stream *streams;
    int stream_count;
    mm_run_tensor *initial; // every tensor of the initial weights
    int initial_count;
    mm_run_program program;         // that began the run
    mm_run_continuation *continued; // in the order of their steps
    int continued_count;
} mm_run_facts;

void mm_run_facts_free(mm_run_facts *facts);
void mm_run_program_free(mm_run_program *program);
// CPU's model name, system name and cores, and this build's compiler, into `program`, which has none of these
// yet. Free it also after trouble.
MM_CHECKED mm_status mm_run_program_machine(mm_run_program *program, mm_error *error);
// The program that made the step, and *from: the first step that it made; 0: it began the run.
const mm_run_program *mm_run_program_at(const mm_run_facts *facts, int64_t step, int64_t *from);
// The program goes on with the run after that step: what others made behind it is gone. *changed: run.json
// says something else by it. `program`'s strings are moved into the facts where they are needed, and *program
// is then {0}; else it keeps them. Free it in any case.
MM_CHECKED mm_status mm_run_facts_continue(mm_run_facts *facts, int64_t after, mm_run_program *program,
                                           bool *changed, mm_error *error);

// As run.json has it: a member of the open object of `w`, null without a path.
void mm_run_data_write(const mm_run_data *data, const char *key, mm_json_writer *w);

// An open run directory, locked against other processes until closed.
typedef struct mm_run mm_run;

// Makes the folder of a run that has something to put there before run.json can be written (a packed text):
// `path`, or with NULL runs/NNNN, the next number (taken by mkdir, so two at once do not meet). Nothing is
// overwritten: an existing path is trouble, unless it is a folder with nothing in it but what a start that
// was killed before its run.json has left (the lock, temporaries, what it packed). Locked until mm_run_close.
// Temporaries that a killed start left in it are removed; what it packed stays for mm_run_unpack. *run is
// NULL after trouble.
MM_CHECKED mm_status mm_run_hold(const char *path, mm_run **run, mm_error *error);
// Text will be packed into the run: where it is killed before its run.json, the next to hold it may remove
// "data" and "val-data".
MM_CHECKED mm_status mm_run_packing(mm_run *run, mm_error *error);
// Removes what the lock says was packed into the run, by a start that did not come to its run.json, and that
// word of it. Nothing where the lock says nothing: a folder of another's that has such a name stays.
MM_CHECKED mm_status mm_run_unpack(mm_run *run, mm_error *error);
// Is the path one that text is packed into, of this run?
bool mm_run_packed(const mm_run *run, const char *data);
// Where the data of a run are, or its validation data, whose settings are `recorded`: what was packed into
// the run lies there, wherever the run has been moved; else the path.
MM_CHECKED mm_status mm_run_find_data(const char *run_path, const mm_settings *recorded, bool val, char *out,
                                      size_t size, mm_error *error);
// Its run.json, published (again where a run goes on with other settings).
MM_CHECKED mm_status mm_run_begin(mm_run *run, const mm_run_facts *facts, mm_error *error);
// An existing run, to go on with, locked until mm_run_close; refused while another process has it.
// Temporaries that a killed process left in its folder are removed. *run is NULL after trouble.
MM_CHECKED mm_status mm_run_open(const char *path, mm_run **run, mm_error *error);
// May its folder be written into, and its checkpoints' if there is one, and is `model` a link, or nothing?
// Nothing is written.
MM_CHECKED mm_status mm_run_check(const mm_run *run, mm_error *error);
void mm_run_close(mm_run *run);
// Absolute; the run's own.
const char *mm_run_path(const mm_run *run);

// Reads run.json of a run directory, checked. The run need not be locked. Free the facts with
// mm_run_facts_free; after trouble they are empty.
MM_CHECKED mm_status mm_run_read(const char *path, mm_run_facts *facts, mm_error *error);

#endif
