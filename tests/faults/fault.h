// One planted fault of the test build mm-faulty. The linker puts these functions between the program's
// objects
// (--wrap), so that the program itself knows nothing of them.
//
// MM_FAULT=NAME:KEY=NUMBER,KEY=NUMBER,... says which; without it mm-faulty is mm.
#ifndef MM_TESTS_FAULT_H
#define MM_TESTS_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fault {
    char name[32];      // "": none
    int64_t step;       // at which it strikes
    int64_t rank, leaf; // leaf within the rank
    int64_t layer;
    int64_t tensor, element, bit; // index in the table of parameters
    int64_t other;                // another rank, or how far something moves
    int64_t leaves_in_rank;
    int64_t call; // of the system, from 1
} fault;

extern fault planted;

// Is this the planted fault?
bool fault_is(const char *name);
// The step in work, from 1; 0 before the first.
int64_t step_in_work(void);
// Does the fault strike in the step in work?
bool fault_strikes(const char *name);
// Does it strike in the leaf that this thread runs: of its step and rank, and of its leaf unless that is
// negative?
bool fault_strikes_here(const char *name);
// Turns over one bit of a number.
void flip_bit(void *number, int64_t bit);

#endif
