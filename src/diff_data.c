// The first sample or document in which two runs' data differ.
#include "diff.h"
#include <limits.h>
#include <mm/data/plan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 14 };

// The run's data, if they are still those that it had.
static bool open_data(const mm_side *side, mm_dataset **dataset) {
    char path[PATH_MAX];
    const mm_run_data *data = &side->facts.data;
    *dataset = NULL;
    if (mm_run_find_data(side->path, &side->facts.settings, false, path, sizeof path, NULL) ||
        mm_dataset_open(path, dataset, NULL))
        return false;
    if (mm_hash_equal(mm_dataset_hash(*dataset), data->hash)) return true;
    mm_dataset_close(*dataset);
    *dataset = NULL;
    return false;
}

static uint64_t document_of(const mm_dataset *dataset, uint64_t token) {
    uint64_t low = 0, high = mm_dataset_documents(dataset);
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (mm_dataset_document_end(dataset, middle) <= token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

typedef enum answer { AGREE, DIFFER, UNKNOWN } answer; // UNKNOWN: they cannot be read

// The first token that differs, as far as both go.
static answer first_token(const mm_dataset *a, const mm_dataset *b, uint64_t *token) {
    mm_dataset_cursor *x = NULL, *y = NULL;
    int32_t *tokens = malloc(2 * PIECE * sizeof *tokens);
    uint64_t n = mm_dataset_tokens(a) < mm_dataset_tokens(b) ? mm_dataset_tokens(a) : mm_dataset_tokens(b);
    bool good = tokens && !mm_dataset_cursor_new(a, &x, NULL) && !mm_dataset_cursor_new(b, &y, NULL),
         found = false;
    for (uint64_t at = 0; good && !found && at < n; at += PIECE) {
        int64_t count = n - at < PIECE ? (int64_t)(n - at) : PIECE;
        good = !mm_dataset_read(x, at, count, tokens, NULL) &&
               !mm_dataset_read(y, at, count, tokens + PIECE, NULL);
        for (int64_t i = 0; good && !found && i < count; i++) {
            found = tokens[i] != tokens[PIECE + i];
            *token = at + (uint64_t)i;
        }
    }
    mm_dataset_cursor_free(x);
    mm_dataset_cursor_free(y);
    free(tokens);
    return found ? DIFFER : good ? AGREE : UNKNOWN;
}

// The first document that ends elsewhere; the tokens agree.
static answer first_end(const mm_dataset *a, const mm_dataset *b, uint64_t *document) {
    uint64_t last =
        mm_dataset_documents(a) < mm_dataset_documents(b) ? mm_dataset_documents(a) : mm_dataset_documents(b);
    for (*document = 0; *document < last; ++*document)
        if (mm_dataset_document_end(a, *document) != mm_dataset_document_end(b, *document)) return DIFFER;
    return AGREE;
}

// Names the first difference between data that were opened.
static answer compare_data(const diffing *d, const mm_dataset *a, const mm_dataset *b, mm_text *out) {
    uint64_t at;
    answer tokens = first_token(a, b, &at);
    if (tokens == DIFFER)
        mm_text_format(out, "; they differ first in document %llu, token %llu",
                       (unsigned long long)document_of(a, at), (unsigned long long)at);
    if (tokens != AGREE) return tokens;
    uint64_t of_a = mm_dataset_documents(a), of_b = mm_dataset_documents(b);
    if (mm_dataset_tokens(a) != mm_dataset_tokens(b)) {
        mm_text_format(out, "; run %s's go on after document %llu, where the other's end",
                       mm_dataset_tokens(a) > mm_dataset_tokens(b) ? "A" : "B",
                       (unsigned long long)(of_a < of_b ? of_a : of_b) - 1);
        return DIFFER;
    }
    bool windows =
        d->a.facts.settings.packing == MM_PACKING_WINDOW && d->b.facts.settings.packing == MM_PACKING_WINDOW;
    if (windows || first_end(a, b, &at) == AGREE) return AGREE; // windows cut documents where they like
    mm_text_format(out, "; their tokens agree, document %llu ends elsewhere", (unsigned long long)at);
    return DIFFER;
}

// The hash is of the shards, so the same tokens may have another: cut elsewhere they are no other data.
void diff_weigh_data(diffing *d) {
    mm_facts_diff *facts = &d->result->facts;
    const mm_fact *fact = mm_facts_find(facts, "data.xxh128");
    if (!fact) return;
    if (d->options->watch.doing) d->options->watch.doing(d->options->watch.self, "comparing the data", -1);
    mm_text words = {0};
    mm_dataset *a, *b;
    bool there_a = open_data(&d->a, &a), there_b = open_data(&d->b, &b);
    if (!there_a || !there_b)
        mm_text_format(&words, " (the data of run %s are gone)",
                       there_a   ? "B"
                       : there_b ? "A"
                                 : "A and run B");
    else if (compare_data(d, a, b, &words) == AGREE)
        facts->facts[fact - facts->facts].may_change_bits = false;
    snprintf(d->data_words, sizeof d->data_words, "%s", words.data ? words.data : "");
    mm_text_free(&words);
    mm_dataset_close(a);
    mm_dataset_close(b);
}

// The leaf at which the batches differ, as samples of the data.
static void name_leaf(const diffing *d, const mm_dataset *data, mm_text *out) {
    const mm_place *first = &d->result->first;
    const mm_settings *s = &d->a.facts.settings;
    if (strcmp(first->operation, "batch") != 0 || first->leaf < 0) return;
    uint64_t position =
        (uint64_t)(first->step - 1) * (uint64_t)s->batch + (uint64_t)(first->leaf * s->micro_batch);
    mm_text_format(out, "; the %s of leaf %lld differ first: position %llu", first->tensor,
                   (long long)first->leaf, (unsigned long long)position);
    mm_plan plan;
    if (!data || mm_plan_make(&plan, data, (mm_packing)s->packing, s->seq_len, s->order == MM_ORDER_SHUFFLED,
                              s->seed, NULL))
        return;
    mm_sample sample = mm_plan_position(&plan, position);
    mm_text_format(out, ", sample %llu of the data, in document %llu", (unsigned long long)sample.index,
                   (unsigned long long)document_of(data, sample.first));
}

void diff_name_data(const diffing *d, mm_text *out) {
    mm_dataset *data;
    mm_text_add_string(out, d->data_words);
    if (!open_data(&d->a, &data)) (void)open_data(&d->b, &data);
    name_leaf(d, data, out);
    mm_dataset_close(data);
}
