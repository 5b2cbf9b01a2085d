// How long the Philox loop takes for a word, beside the definition, one block at a time. Both are taken in
// turn. Compiled once for each build of the kernels, with its flags.
//
//     bench_rng_BUILD [TURNS]
#include <mm/base/clock.h>
#include <mm/base/isa.h>
#include <mm/base/philox.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORDS = 1 << 16, ROW = 512, MOST_TURNS = 100000 };

static const mm_stream stream = {
    .key = 1337, .word1 = MM_PURPOSE_ATTENTION_DROPOUT << 24 | 3 << 12, .word2 = 5, .origin = 640};

// As attention asks for them: a row's words stay in the first cache. Returns something of all, so that none
// is left out.
static uint32_t loop(uint64_t first) {
    mm_philox philox;
    uint32_t words[ROW], sum = 0;
    mm_philox_open(&philox, &stream);
    for (uint64_t row = 0; row < WORDS; row += ROW) {
        for (uint64_t i = 0; i < ROW; i += MM_PHILOX_WORDS)
            mm_philox_words(&philox, first + row + i, MM_PHILOX_WORDS, words + i);
        for (int i = 0; i < ROW; i++) sum += words[i];
    }
    return sum;
}

static uint32_t definition(uint64_t first) {
    uint32_t sum = 0;
    for (uint64_t i = 0; i < WORDS; i += 4) {
        const uint64_t block = (stream.origin + first + i) / 4;
        const uint32_t counter[4] = {(uint32_t)block, stream.word1 | (uint32_t)(block >> 32), stream.word2,
                                     stream.word3};
        uint32_t words[4];
        mm_philox4x32(stream.key, counter, words);
        for (int k = 0; k < 4; k++) sum += words[k];
    }
    return sum;
}

static double nanoseconds_of(uint32_t (*make)(uint64_t first), uint64_t first, uint32_t *sum) {
    const double began = mm_clock_seconds();
    *sum = make(first);
    return (mm_clock_seconds() - began) * 1e9 / WORDS;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    static double loops[MOST_TURNS], definitions[MOST_TURNS];
    const int turns = argc > 1 ? atoi(argv[1]) : 1000;
    if (turns < 1 || turns > MOST_TURNS) return 2;
    if (mm_isa_best() < MM_BUILD_ISA) {
        printf("this CPU does not run %s\n", mm_isa_name(MM_BUILD_ISA));
        return 77;
    }
    for (int turn = 0; turn < turns; turn++) {
        const uint64_t first = (uint64_t)turn * WORDS;
        uint32_t sum, defined;
        loops[turn] = nanoseconds_of(loop, first, &sum);
        definitions[turn] = nanoseconds_of(definition, first, &defined);
        if (sum != defined) {
            fprintf(stderr, "bench_rng: the loop's words are not the definition's\n");
            return 1;
        }
    }
    qsort(loops, (size_t)turns, sizeof *loops, compare);
    qsort(definitions, (size_t)turns, sizeof *definitions, compare);
    printf("%s: ns a word, the loop best %.3f median %.3f, the definition best %.3f median %.3f\n",
           mm_isa_name(MM_BUILD_ISA), loops[0], loops[turns / 2], definitions[0], definitions[turns / 2]);
    return 0;
}
