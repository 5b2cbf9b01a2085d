// C = A B (+ C), float, row-major, one thread: BLIS (its only place), or our own. The result is defined to
// the bit (design: Arithmetic 1): for each chunk of 256 of k, acc starts at +0 and takes fmaf(a, b, acc) in
// order of k; C = alpha * acc, or C + alpha * acc (one fmaf(1, C, alpha * acc), that is a plain sum) from the
// second chunk on or where the product is added. k = 0 gives +0 or leaves C.
#ifndef MM_OPS_GEMM_H
#define MM_OPS_GEMM_H

#include <mm/base/isa.h>
#include <mm/base/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MM_GEMM_CHUNK = 256 };
// What is packed at once, in chunks of k; they move no bits. The rows fill less than half of a second cache
// of 512 KiB.
enum { MM_GEMM_BLOCK_ROWS = 96, MM_GEMM_BLOCK_COLUMNS = 1024 };
// Columns of C for which nothing but those of B is packed, on the stack, unless A is turned: room is not
// used.
enum { MM_GEMM_FEW_COLUMNS = 128 };

// What a product does to C.
typedef enum mm_gemm_into {
    MM_GEMM_SET,         // C becomes it; what was there is not read
    MM_GEMM_ADD,         // it is added
    MM_GEMM_ADD_TO_ZERO, // as MM_GEMM_ADD with a C of +0, whatever is there (a product of -0 gives +0)
} mm_gemm_into;

// Immutable once open; any number of threads multiply with it at once.
typedef struct mm_gemm mm_gemm;

// Chooses what multiplies: the kernel of BLIS that BLIS_ARCH_TYPE names (empty counts as unset); else our own
// where `isa` is AVX2 or AVX-512, where it is faster; else the best of BLIS's by CPU features. Call it while
// no other thread works: it may set BLIS_ARCH_TYPE, which BLIS reads when it starts; later calls in the
// process find the kernel that the first has chosen. One of BLIS's products is compared with the definition;
// if it differs, our own serves. A kernel that the CPU cannot run, or no number, is trouble. *gemm is NULL
// after trouble.
MM_CHECKED mm_status mm_gemm_open(mm_isa isa, mm_gemm **gemm, mm_error *error);
// Our own, and BLIS with its best kernel or the one that is named, for tests and comparison. BLIS keeps its
// kernel for the life of the process, and BLIS_ARCH_TYPE then names it, also to mm_gemm_open.
MM_CHECKED mm_status mm_gemm_open_own(mm_isa isa, mm_gemm **gemm, mm_error *error);
MM_CHECKED mm_status mm_gemm_open_blis(mm_isa isa, mm_gemm **gemm, mm_error *error);
void mm_gemm_close(mm_gemm *gemm);
// BLIS's name of its kernel ("haswell", "zen3", "skx", ...), or "own", or "plain": our own where BLIS differs
// from the definition.
const char *mm_gemm_kernel(const mm_gemm *gemm);
// Floats of room that a product may use to pack what it multiplies, best aligned to
// MM_ARENA_ALIGNMENT; 0 with BLIS, which has its own.
size_t mm_gemm_room(const mm_gemm *gemm);
// Bytes of A that each thread's product packs at most in memory of BLIS's own; 0 without BLIS.
size_t mm_gemm_packed_bytes(const mm_gemm *gemm);
// BLIS's version ("0.9.0"), or "" for our own.
const char *mm_gemm_version(const mm_gemm *gemm);

// C is m x n with rows ldc apart. A is m x k (rows lda apart), or k x m if transpose_a; B is k x n, or n x k
// if transpose_b. room: mm_gemm_room floats of the thread's own, or NULL, which is slower for more than
// MM_GEMM_FEW_COLUMNS and for a turned A.
void mm_gemm_run(const mm_gemm *gemm, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                 float alpha, const float *a, int64_t lda, const float *b, int64_t ldb, mm_gemm_into into,
                 float *c, int64_t ldc, float *room);

#endif
