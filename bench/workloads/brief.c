// Threads that end at once: with one object that another frees later, or after 256 blocks.
//
// `mleak` has the parameters of mimalloc-bench's (`mleak 5`, `mleak 50`): ten threads at once, each makes one zeroed
// object of 16 words, swaps it with what lies on one of 1,000 places, frees that and ends. `threads-256`: a thread
// makes and frees four times 64 blocks of 16 bytes to 2 KiB and ends.
#include "workload.h"

#include <stdatomic.h>

// --- one object per thread -------------------------------------------------------------------------------------------

enum { LEAKERS = 10, PLACES = 1000, WORDS = 16 };

typedef struct {
    _Atomic(uint64_t *) place[PLACES];
    uint64_t wave;
} leak;

static uint64_t object_drop(uint64_t *object) {
    uint64_t value = object == NULL ? 0 : object[0] + object[WORDS - 1];
    free(object);
    return value;
}

static uint64_t leave_one(unsigned index, void *shared) {
    leak *l = shared;
    rng r = rng_new(l->wave * LEAKERS + index);
    uint64_t *object = must(calloc(WORDS, sizeof *object));
    object[0] = l->wave;
    return object_drop(atomic_exchange(&l->place[rng_below(&r, PLACES)], object));
}

static uint64_t run_leak(uint64_t waves) {
    leak *l = must(calloc(1, sizeof *l));
    uint64_t sum = 0;
    for (l->wave = 0; l->wave < waves; l->wave++) sum += on_threads(LEAKERS, leave_one, l);
    for (int i = 0; i < PLACES; i++) sum += object_drop(atomic_load(&l->place[i]));
    free(l);
    return sum;
}

uint64_t run_mleak_10(const params *p) { return run_leak(scaled(p, 5 * 100)); }
uint64_t run_mleak_100(const params *p) { return run_leak(scaled(p, 50 * 100)); }

// --- 256 blocks per thread -------------------------------------------------------------------------------------------

enum { TURNS = 4, BLOCKS = 64 };

static uint64_t turn(rng *r) {
    void *block[BLOCKS];
    uint64_t sum = 0;
    for (int i = 0; i < BLOCKS; i++) {
        size_t bytes = rng_power_law(r, 16, 7);
        stamp(block[i] = allocate(bytes), bytes, bytes);
    }
    for (int i = 0; i < BLOCKS; i++) {
        sum += stamp_of(block[i]);
        free(block[i]);
    }
    return sum;
}

static uint64_t live_for_256(unsigned index, void *shared) {
    rng r = rng_new(*(uint64_t *)shared * 64 + index);
    uint64_t sum = 0;
    for (int i = 0; i < TURNS; i++) sum += turn(&r);
    return sum;
}

uint64_t run_threads_256(const params *p) {
    uint64_t rounds = scaled_per_thread(p, 16000), sum = 0;
    for (uint64_t i = 0; i < rounds; i++) sum += on_threads(p->threads, live_for_256, &i);
    return sum;
}
