// Large blocks: filled, written page by page, or touched in few places.
//
// `malloc-large`: mimalloc-bench's, 20 live blocks of 5 to 25 MiB, and its later form, one block of 2 MiB at a time,
// every byte written. `dozens`: 48 live blocks of 64 KiB to 16 MiB replaced at random, every page written. `sparse`:
// the same blocks with one byte in 64 KiB written, or the first byte alone.
#include "workload.h"

enum { KIB = 1024, MIB = 1024 * KIB, OS_PAGE = 4096, MOST_SLOTS = 48 };
#define FIRST_ONLY ((size_t)1 << 62)

typedef struct {
    unsigned slots;
    size_t stride; // one byte is written per so many
    size_t (*bytes)(rng *);
    uint64_t rounds;
} big;

static uint64_t first_byte(unsigned char *block) {
    uint64_t value = block == NULL ? 0 : block[0];
    free(block);
    return value;
}

static unsigned char *big_block(const big *b, rng *r) {
    size_t bytes = b->bytes(r);
    unsigned char *block = allocate(bytes), value = (unsigned char)(bytes / OS_PAGE);
    if (b->stride == 1) return memset(block, value, bytes);
    for (size_t at = 0; at < bytes; at += b->stride) block[at] = value;
    return block;
}

static uint64_t big_thread(unsigned index, void *shared) {
    const big *b = shared;
    unsigned char *slot[MOST_SLOTS] = {0};
    rng r = rng_new(21 + index);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < b->rounds; i++) {
        unsigned char **chosen = &slot[rng_below(&r, b->slots)];
        sum += first_byte(*chosen);
        *chosen = big_block(b, &r);
    }
    for (unsigned i = 0; i < b->slots; i++) sum += first_byte(slot[i]);
    return sum;
}

static size_t to_25_mib(rng *r) { return 5 * MIB + rng_below(r, 20 * MIB); }
static size_t two_mib(rng *r) { return (void)r, 2 * MIB; }

static size_t to_16_mib(rng *r) { // every doubling from 64 KiB on is as frequent
    size_t base = (size_t)64 * KIB << rng_below(r, 8);
    return base + rng_below(r, base);
}

static uint64_t run(const params *p, big b) {
    b.rounds = scaled_per_thread(p, b.rounds);
    return on_threads(p->threads, big_thread, &b);
}

uint64_t run_malloc_large(const params *p) { return run(p, (big){20, OS_PAGE, to_25_mib, 150}); }
uint64_t run_malloc_large_2m(const params *p) { return run(p, (big){1, 1, two_mib, 3000}); }
uint64_t run_dozens(const params *p) { return run(p, (big){48, OS_PAGE, to_16_mib, 6000}); }
uint64_t run_sparse_64k(const params *p) { return run(p, (big){48, 64 * KIB, to_16_mib, 20000}); }
uint64_t run_sparse_first(const params *p) { return run(p, (big){48, FIRST_ONLY, to_16_mib, 50000}); }
