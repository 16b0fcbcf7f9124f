// False sharing: does an engine give two threads blocks in one cache line?
//
// Source: cache-scratch (passive) and cache-thrash (active) of Berger et al., "Hoard", ASPLOS 2000. Passive: one thread
// makes a block for each other thread, which frees it and may then get it back, neighbours and all. The second set has
// mimalloc-bench's parameters (`cache-scratch T 1000 1 2000000 T`): one byte, a thousand blocks, very many writes.
#include "workload.h"

enum { BYTES = 8, WRITES = 400, MANY_WRITES = 200000 };

typedef struct {
    void **gift; // one block per thread, or null
    uint64_t rounds;
    size_t bytes;
} sharing;

static uint64_t write_often(volatile unsigned char *block, uint64_t round) {
    for (int i = 0; i < WRITES; i++) block[i % BYTES] = (unsigned char)(block[(i + 3) % BYTES] + i + (int)round);
    return block[0];
}

static uint64_t write_one_byte(volatile unsigned char *block, uint64_t round) {
    for (int i = 0; i < MANY_WRITES; i++) block[0] = (unsigned char)(block[0] + i + (int)round);
    return block[0];
}

static uint64_t scribble(unsigned index, void *shared) {
    sharing *s = shared;
    uint64_t sum = 0;
    if (s->gift != NULL) free(s->gift[index]);
    for (uint64_t i = 0; i < s->rounds; i++) {
        unsigned char *block = allocate(s->bytes);
        memset(block, (int)index, s->bytes);
        sum += s->bytes == 1 ? write_one_byte(block, i) : write_often(block, i);
        free(block);
    }
    return sum;
}

static uint64_t passive(const params *p, uint64_t rounds, size_t bytes) {
    void *gift[p->threads];
    for (unsigned i = 0; i < p->threads; i++) gift[i] = allocate(bytes);
    sharing s = {gift, scaled_per_thread(p, rounds), bytes};
    return on_threads(p->threads, scribble, &s);
}

static uint64_t active(const params *p, uint64_t rounds, size_t bytes) {
    sharing s = {NULL, scaled_per_thread(p, rounds), bytes};
    return on_threads(p->threads, scribble, &s);
}

uint64_t run_cache_scratch(const params *p) { return passive(p, 3000000, BYTES); }
uint64_t run_cache_thrash(const params *p) { return active(p, 3000000, BYTES); }
uint64_t run_cache_scratch_1b(const params *p) { return passive(p, 1000, 1); }
uint64_t run_cache_thrash_1b(const params *p) { return active(p, 1000, 1); }
