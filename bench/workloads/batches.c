// Batches of small blocks freed in odd orders: forwards, backwards, every second one first.
//
// Source of the pattern: MicroQuill's sh6bench and sh8bench (as described in mimalloc-bench); in the shared variant
// a batch is left on an exchange, and whoever draws it frees it.
#include "workload.h"

#include <pthread.h>

enum { BATCH = 512, HELD = 24 };

typedef struct {
    void *block[BATCH];
} batch;

static batch *batch_new(rng *r) {
    batch *b = allocate(sizeof *b);
    for (int i = 0; i < BATCH; i++) {
        size_t bytes = rng_power_law(r, 8, 7);
        b->block[i] = allocate(bytes);
        stamp(b->block[i], bytes, bytes);
    }
    return b;
}

static uint64_t release(void *block) {
    uint64_t value = stamp_of(block);
    free(block);
    return value;
}

static uint64_t release_forwards(batch *b) {
    uint64_t sum = 0;
    for (int i = 0; i < BATCH; i++) sum += release(b->block[i]);
    return sum;
}

static uint64_t release_backwards(batch *b) {
    uint64_t sum = 0;
    for (int i = BATCH; i-- > 0;) sum += release(b->block[i]);
    return sum;
}

static uint64_t release_alternating(batch *b) {
    uint64_t sum = 0;
    for (int i = 0; i < BATCH; i += 2) sum += release(b->block[i]);
    for (int i = BATCH - 1; i > 0; i -= 2) sum += release(b->block[i]);
    return sum;
}

static uint64_t batch_drop(batch *b, uint64_t order) {
    uint64_t sum = order % 3 == 0   ? release_forwards(b)
                   : order % 3 == 1 ? release_backwards(b)
                                    : release_alternating(b);
    free(b);
    return sum;
}

// --- each thread for itself --------------------------------------------------------------------------------------

static uint64_t own_batches(unsigned index, void *shared) {
    uint64_t rounds = *(uint64_t *)shared, sum = 0;
    rng r = rng_new(index);
    batch *held[HELD] = {0};
    for (uint64_t i = 0; i < rounds; i++) {
        batch **slot = &held[rng_below(&r, HELD)];
        if (*slot != NULL) sum += batch_drop(*slot, i);
        *slot = batch_new(&r);
    }
    for (int i = 0; i < HELD; i++)
        if (held[i] != NULL) sum += batch_drop(held[i], (uint64_t)i);
    return sum;
}

uint64_t run_batches(const params *p) {
    uint64_t rounds = scaled_per_thread(p, 150000);
    return on_threads(p->threads, own_batches, &rounds);
}

// --- through an exchange ---------------------------------------------------------------------------------------------

typedef struct {
    pthread_mutex_t lock;
    batch *slot[64];
    uint64_t rounds;
} exchange;

static batch *swap(exchange *e, size_t index, batch *given) {
    pthread_mutex_lock(&e->lock);
    batch *taken = e->slot[index];
    e->slot[index] = given;
    pthread_mutex_unlock(&e->lock);
    return taken;
}

static uint64_t exchanged_batches(unsigned index, void *shared) {
    exchange *e = shared;
    rng r = rng_new(index);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < e->rounds; i++) {
        batch *mine = batch_new(&r);
        batch *taken = swap(e, rng_below(&r, 64), mine);
        if (taken != NULL) sum += batch_drop(taken, i);
    }
    return sum;
}

uint64_t run_batches_shared(const params *p) {
    exchange e = {.lock = PTHREAD_MUTEX_INITIALIZER, .rounds = scaled_per_thread(p, 80000)};
    uint64_t sum = on_threads(p->threads, exchanged_batches, &e);
    for (int i = 0; i < 64; i++)
        if (e.slot[i] != NULL) sum += batch_drop(e.slot[i], 0);
    return sum;
}
