#include "fault.h"
#include "place.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

fault planted;

static const struct {
    const char *key;
    size_t offset;
} keys[] = {
    {"step", offsetof(fault, step)},     {"rank", offsetof(fault, rank)},
    {"leaf", offsetof(fault, leaf)},     {"layer", offsetof(fault, layer)},
    {"tensor", offsetof(fault, tensor)}, {"element", offsetof(fault, element)},
    {"bit", offsetof(fault, bit)},       {"other", offsetof(fault, other)},
    {"call", offsetof(fault, call)},     {"leaves_in_rank", offsetof(fault, leaves_in_rank)},
};

static void refuse(const char *text) {
    fprintf(stderr, "MM_FAULT: %s: expected NAME:KEY=NUMBER,...\n", text);
    exit(2);
}

static void take(const char *pair) {
    const char *equals = strchr(pair, '=');
    if (!equals) refuse(pair);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strlen(keys[i].key) != (size_t)(equals - pair) ||
            strncmp(keys[i].key, pair, (size_t)(equals - pair)))
            continue;
        int64_t value = strtoll(equals + 1, NULL, 10);
        memcpy((char *)&planted + keys[i].offset, &value, sizeof value);
        return;
    }
    refuse(pair);
}

__attribute__((constructor)) static void plant(void) {
    const char *text = getenv("MM_FAULT");
    if (!text) return;
    char copy[256], *rest = copy;
    snprintf(copy, sizeof copy, "%s", text);
    snprintf(planted.name, sizeof planted.name, "%s", strsep(&rest, ":"));
    while (rest) take(strsep(&rest, ","));
}

bool fault_is(const char *name) {
    return strcmp(planted.name, name) == 0;
}

bool fault_strikes(const char *name) {
    return fault_is(name) && step_in_work() == planted.step;
}

bool fault_strikes_here(const char *name) {
    return fault_is(name) && here.step == planted.step && here.rank == planted.rank &&
           (planted.leaf < 0 || here.leaf_in_rank == planted.leaf);
}

void flip_bit(void *number, int64_t bit) {
    uint32_t bits;
    memcpy(&bits, number, sizeof bits);
    bits ^= (uint32_t)1 << bit;
    memcpy(number, &bits, sizeof bits);
}
