// How fast one token is decoded, beside a plain read of the weights by as many threads: what memory allows.
// Both are taken in turn, since a shared machine's memory is not the same from one second to the next.
//
//     bench_decode [PRESET [WORKERS [TOKENS]]]
#include <mm/base/clock.h>
#include <mm/model/decode.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUND = 8, MOST_TOKENS = 4096 }; // tokens, and reads, of a turn

typedef struct bench {
    mm_model model;
    mm_decoder *decoder;
    int32_t ids[MOST_TOKENS];
    int64_t position; // of the turn's first token
    uint64_t sums[1024];
} bench;

static void decode(void *self, const mm_team *team, int worker) {
    bench *b = self;
    for (int64_t i = b->position; i < b->position + ROUND; i++)
        mm_decoder_run(b->decoder, team, worker, i, b->ids + i, 1);
}

// Four places at once, as the product reads four rows: one alone is slower. Nothing but memory is waited for.
static void read_all(void *self, const mm_team *team, int worker) {
    enum { PLACES = 4, LINE = 8 };
    bench *b = self;
    long begin, end;
    mm_par_slice((long)(b->model.parameters.floats / 2), PLACES * LINE, worker, team->workers, &begin, &end);
    const uint64_t *words = (const uint64_t *)(const void *)b->model.weights + begin;
    long part = (end - begin) / PLACES / LINE * LINE;
    for (int i = 0; i < ROUND; i++) {
        uint64_t sums[PLACES][LINE] = {{0}};
        for (long at = 0; at < part; at += LINE)
            for (int p = 0; p < PLACES; p++)
                for (int l = 0; l < LINE; l++) sums[p][l] += words[p * part + at + l];
        for (int p = 0; p < PLACES; p++)
            for (int l = 0; l < LINE; l++) b->sums[worker] += sums[p][l];
        mm_team_wait(team);
    }
}

static double seconds_of(bench *b, int workers, void (*work)(void *self, const mm_team *team, int worker)) {
    double began = mm_clock_seconds();
    mm_par_team(workers, work, b);
    return (mm_clock_seconds() - began) / ROUND;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static mm_status open_bench(bench *b, const char *preset, int workers, int64_t tokens, mm_arena *arena,
                            mm_error *error) {
    mm_isa isa;
    mm_gemm *gemm;
    mm_config config;
    mm_status status = mm_isa_pick(&isa, error);
    if (!status) status = mm_gemm_open_own(isa, &gemm, error);
    if (!status) status = mm_config_preset(preset, &config, error);
    if (!status) status = mm_model_open(&b->model, &config, mm_kernels_for(isa), gemm, tokens, NULL, error);
    if (!status) status = mm_arena_open(arena, b->model.parameters.floats * sizeof(float), error);
    if (status) return status;
    b->model.weights = mm_arena_take(arena, b->model.parameters.floats, sizeof(float));
    for (int i = 0; i < b->model.parameters.count; i++)
        mm_parameter_initial(&b->model.parameters, i, 1, b->model.weights + b->model.parameters.offsets[i]);
    return mm_decoder_open(&b->model, tokens, workers, &b->decoder, error);
}

int main(int argc, char **argv) {
    static bench b;
    static double decoded[MOST_TOKENS / ROUND], reads[MOST_TOKENS / ROUND];
    mm_error error;
    mm_arena arena;
    const char *preset = argc > 1 ? argv[1] : "minimind-3";
    int workers = argc > 2 ? atoi(argv[2]) : mm_par_cores(), tokens = argc > 3 ? atoi(argv[3]) : 256;
    if (workers < 1 || workers > 1024 || tokens < ROUND || tokens > MOST_TOKENS) return 2;
    if (open_bench(&b, preset, workers, tokens, &arena, &error)) {
        fprintf(stderr, "bench_decode: %s\n", error.text);
        return 2;
    }
    int turns = tokens / ROUND;
    for (int turn = 0; turn < turns; turn++, b.position += ROUND) {
        decoded[turn] = seconds_of(&b, workers, decode);
        reads[turn] = seconds_of(&b, workers, read_all);
    }
    qsort(decoded, (size_t)turns, sizeof *decoded, compare);
    qsort(reads, (size_t)turns, sizeof *reads, compare);
    double gigabytes = (double)b.model.parameters.floats * sizeof(float) * 1e-9;
    printf("%s, %d workers, %d tokens, %.0f MB of weights (checksum %llx)\n", preset, workers, tokens,
           gigabytes * 1e3, (unsigned long long)b.sums[0]);
    printf("best    decode %6.1f tok/s, read %6.1f times a second (%.1f GB/s): %.0f%%\n", 1 / decoded[0],
           1 / reads[0], gigabytes / reads[0], 100 * reads[0] / decoded[0]);
    printf("median  decode %6.1f tok/s, read %6.1f times a second (%.1f GB/s): %.0f%%\n",
           1 / decoded[turns / 2], 1 / reads[turns / 2], gigabytes / reads[turns / 2],
           100 * reads[turns / 2] / decoded[turns / 2]);
    return 0;
}
