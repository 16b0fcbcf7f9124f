// False sharing: does an engine give two threads blocks in one cache line?
//
// Source: cache-scratch (passive) and cache-thrash (active) of Berger et al., "Hoard", ASPLOS 2000. Passive: one
// thread makes a block for each other thread, which frees it and may then get it back, neighbours and all.
#include "workload.h"

enum { BYTES = 8, WRITES = 400 };

typedef struct {
    void **gift; // one block per thread, or null
    uint64_t rounds;
} sharing;

static uint64_t write_often(volatile unsigned char *block, uint64_t round) {
    for (int i = 0; i < WRITES; i++) block[i % BYTES] = (unsigned char)(block[(i + 3) % BYTES] + i + (int)round);
    return block[0];
}

static uint64_t scribble(unsigned index, void *shared) {
    sharing *s = shared;
    uint64_t sum = 0;
    if (s->gift != NULL) free(s->gift[index]);
    for (uint64_t i = 0; i < s->rounds; i++) {
        unsigned char *block = allocate(BYTES);
        memset(block, (int)index, BYTES);
        sum += write_often(block, i);
        free(block);
    }
    return sum;
}

uint64_t run_cache_scratch(const params *p) {
    void *gift[p->threads];
    for (unsigned i = 0; i < p->threads; i++) gift[i] = allocate(BYTES);
    sharing s = {gift, scaled_per_thread(p, 3000000)};
    return on_threads(p->threads, scribble, &s);
}

uint64_t run_cache_thrash(const params *p) {
    sharing s = {NULL, scaled_per_thread(p, 3000000)};
    return on_threads(p->threads, scribble, &s);
}
