// Places of a run in words.
#include <limits.h>
#include <mm/record/checkpoint.h>
#include <mm/record/diff.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char in_layer[] = "model.layers.";

mm_place mm_place_of(const mm_trace_record *r) {
    mm_place place = {.step = r->step, .leaf = r->leaf, .rank = r->rank, .layer = r->layer, .pass = r->pass};
    snprintf(place.operation, sizeof place.operation, "%s", r->operation);
    snprintf(place.tensor, sizeof place.tensor, "%s", r->tensor);
    const char *layer = strstr(r->tensor, in_layer);
    long number = place.layer < 0 && layer ? strtol(layer + sizeof in_layer - 1, NULL, 10) : place.layer;
    if (number >= 0 && number <= INT_MAX) place.layer = (int)number;
    if (strcmp(r->operation, "loss") == 0) place.pass = MM_PASS_FORWARD;
    return place;
}

// The projection that a tensor of a joint operation belongs to; NULL: the operation's own name.
static const char *projection(const mm_place *p) {
    static const struct {
        const char *operation, *tensor, *name;
    } table[] = {
        {"qkv_proj", "q", "q_proj"},
        {"qkv_proj", "k", "k_proj"},
        {"qkv_proj", "v", "v_proj"},
        {"qkv_proj", "q_proj.weight", "q_proj"},
        {"qkv_proj", "k_proj.weight", "k_proj"},
        {"qkv_proj", "v_proj.weight", "v_proj"},
        {"gate_up_proj", "gate", "gate_proj"},
        {"gate_up_proj", "gate_proj.weight", "gate_proj"},
        {"gate_up_proj", "up", "up_proj"},
        {"gate_up_proj", "up_proj.weight", "up_proj"},
        {"layer", "x", "output"},
        {"layer", "dx", "input gradient"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(p->operation, table[i].operation) == 0 && strcmp(p->tensor, table[i].tensor) == 0)
            return table[i].name;
    return NULL;
}

// "layer 1's mlp.up_proj" of "exp_avg.model.layers.1.mlp.up_proj.weight".
static void add_tensor(const char *tensor, mm_text *out) {
    static const char weight[] = ".weight";
    static const char *const moments[] = {"", "the first moment of ", "the second moment of "};
    int which;
    tensor = mm_moment_of(tensor, &which);
    mm_text_add_string(out, moments[which]);
    if (strncmp(tensor, in_layer, sizeof in_layer - 1) == 0) {
        char *name;
        long layer = strtol(tensor + sizeof in_layer - 1, &name, 10);
        mm_text_format(out, "layer %ld's ", layer);
        tensor = *name == '.' ? name + 1 : name;
    }
    size_t size = strlen(tensor), tail = sizeof weight - 1;
    if (size > tail && strcmp(tensor + size - tail, weight) == 0) size -= tail;
    mm_text_add(out, tensor, size);
}

static bool is(const mm_place *p, const char *operation) {
    return strcmp(p->operation, operation) == 0;
}

static void add_rank(const mm_place *p, mm_text *out) {
    if (p->rank >= 0) mm_text_format(out, " on rank %d", p->rank);
    if (p->leaf >= 0) mm_text_format(out, " (leaf %lld)", (long long)p->leaf);
}

void mm_place_words(const mm_place *p, mm_text *out) {
    if (is(p, "batch")) {
        mm_text_format(out, "in the %s that were read",
                       strcmp(p->tensor, "positions") ? p->tensor : "samples");
    } else if (is(p, "loss")) {
        mm_text_add_string(out, "in the forward pass (its loss)");
    } else if (is(p, "gradient")) {
        mm_text_add_string(out, "in the backward pass of ");
        add_tensor(p->tensor, out);
    } else if (is(p, "merge")) {
        mm_text_add_string(out, "in the merged gradient of ");
        add_tensor(p->tensor, out);
    } else if (is(p, "norm") && p->pass == MM_PASS_NONE) {
        mm_text_add_string(out, "in the norm of the gradient");
    } else if (is(p, "adamw") && strcmp(p->tensor, "lr") == 0) {
        mm_text_add_string(out, "in the learning rate");
    } else if (is(p, "validation")) {
        mm_text_add_string(out, "in the validation loss");
    } else if (is(p, "checkpoint") && strcmp(p->tensor, "optimizer") == 0) {
        mm_text_add_string(out, "in the optimizer state of the checkpoint");
    } else if (is(p, "adamw")) {
        mm_text_add_string(out, "in the update of ");
        add_tensor(p->tensor, out);
    } else if (is(p, "checkpoint")) {
        mm_text_add_string(out, "in the checkpoint");
    } else {
        const char *name = projection(p);
        mm_text_format(out, "in the %s pass of ", p->pass == MM_PASS_BACKWARD ? "backward" : "forward");
        if (p->layer >= 0)
            mm_text_format(out, "layer %d's ", p->layer);
        else
            mm_text_add_string(out, "the ");
        mm_text_add_string(out, name ? name : p->operation);
    }
    add_rank(p, out);
}
