// The resolved configuration of a training run: what run.json holds and --resume reads back. One table of
// fields makes the writer, the reader, the comparison of two runs and (with tools/options.c) the command
// line.
#ifndef MM_RECORD_SETTINGS_H
#define MM_RECORD_SETTINGS_H

#include <mm/base/choices.h>
#include <mm/base/status.h>
#include <mm/files/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Integers and choices are int64_t, the seed uint64_t, numbers double, strings owned (malloc) and NULL when
// absent.
typedef struct mm_settings {
    int64_t threads, ranks, workers;
    char *data, *val_data; // paths
    int64_t val_every;     // 0: never
    char *preset;          // NULL with model
    char *model;           // a model directory to start from
    int64_t steps, batch, micro_batch, seq_len;
    int64_t packing; // mm_packing
    uint64_t seed;
    int64_t seed_policy; // mm_seed_policy
    double dropout, token_noise;
    int64_t order; // mm_order
    double lr;
    int64_t schedule; // mm_schedule
    int64_t warmup;
    double weight_decay, beta1, beta2, eps, clip; // clip 0: off
    char *out;                                    // the run directory
    int64_t save_every, keep;
    int64_t sample_every; // 0: never
    char *prompt;         // of samples; NULL: they begin as a document does
    int64_t trace;        // mm_level
} mm_settings;

typedef enum mm_field_kind {
    MM_FIELD_INTEGER,
    MM_FIELD_SEED,
    MM_FIELD_NUMBER,
    MM_FIELD_CHOICE,
    MM_FIELD_STRING
} mm_field_kind;

typedef struct mm_field {
    const char *key; // run.json's key: the option's name with '_' for '-'
    mm_field_kind kind;
    size_t offset;              // in mm_settings
    double least, most;         // of an integer or a number
    const char *const *choices; // of a choice, in the order of its enumeration, NULL-terminated
    bool changes_bits;          // may a change of it move a bit of the result?
    bool on_resume;             // may it be given with --resume?
} mm_field;

// NULL-key-terminated, behind so many.
enum { MM_SETTINGS_FIELDS = 32 };
extern const mm_field mm_settings_fields[];
const mm_field *mm_settings_field(const char *key);
enum { MM_OPTION_NAME = 64 };
// "seed-policy", as the command line has the key; returns `out`.
const char *mm_settings_option(const char *key, char out[MM_OPTION_NAME]);

// All zero is unset; mm_train_resolve fills defaults.
void mm_settings_free(mm_settings *settings);
// *to becomes a copy with strings of its own; what it held before is not freed. Free it in any case.
MM_CHECKED mm_status mm_settings_copy(mm_settings *to, const mm_settings *from, mm_error *error);
// Puts a copy of `value` in place of the string that the slot owns; on trouble that stays.
MM_CHECKED mm_status mm_settings_set_string(char **slot, const char *value, mm_error *error);
// The field of `to` becomes that of `from`; *changed is set where it was another.
MM_CHECKED mm_status mm_settings_take(mm_settings *to, const mm_field *field, const mm_settings *from,
                                      bool *changed, mm_error *error);
// Takes a value from text as the command line has it; trouble names `name`, the value and what is expected.
MM_CHECKED mm_status mm_settings_parse(mm_settings *settings, const mm_field *field, const char *name,
                                       const char *value, mm_error *error);
// Does each rank have a power of two of micro-batches, so that its gradient is one node of the tree? The
// three are at least 1.
bool mm_settings_batch_fits(const mm_settings *settings);
// A member of an open object: an integer up to 2^53, else a string as --seed takes it, "0x" and 16 hex
// digits.
void mm_settings_write_seed(uint64_t seed, const char *key, mm_json_writer *w);
// As members of an open object, in the table's order.
void mm_settings_write(const mm_settings *settings, mm_json_writer *w);
MM_CHECKED mm_status mm_settings_read(mm_settings *settings, const mm_json_document *document,
                                      const mm_json *object, mm_error *error);
// Are strings UTF-8? run.json has no others; trouble names the option.
MM_CHECKED mm_status mm_settings_check_text(const mm_settings *settings, mm_error *error);
// Do they fit together as those of a run do? Trouble names `name`, where they were read.
MM_CHECKED mm_status mm_settings_check(const mm_settings *settings, const char *name, mm_error *error);

#endif
