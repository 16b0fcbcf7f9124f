// Waves of threads: each makes many objects, keeps some, leaves some on a board for others, and ends; then the next
// wave comes and finds what the last one left.
//
// Source of the pattern: test-stress of mimalloc (mstress in mimalloc-bench). What a thread decides depends on its
// own random numbers alone, so the sum over all freed objects is the same however threads interleave.
#include "workload.h"

#include <stdatomic.h>

enum { BOARD = 1000, WAVES = 25, KEPT = 400 };

typedef struct {
    uint64_t bytes;
    uint64_t words[];
} object;

typedef struct {
    _Atomic(object *) slot[BOARD];
    uint64_t objects; // that each thread makes in a wave
    unsigned wave;
} board;

static object *object_new(rng *r) {
    size_t words = rng_next(r) % 100 < 2 ? rng_between(r, 64, 4096) : rng_power_law(r, 1, 6);
    object *o = allocate(sizeof *o + words * sizeof(uint64_t));
    o->bytes = words;
    for (size_t i = 0; i < words; i++) o->words[i] = words ^ i;
    return o;
}

static uint64_t object_drop(object *o) {
    if (o == NULL) return 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < o->bytes; i++) sum += o->words[i] ^ i;
    free(o);
    return sum;
}

static uint64_t place(board *b, rng *r, object *o, object **kept) {
    uint64_t dice = rng_next(r) % 100;
    if (dice < 50) return object_drop(o);
    if (dice < 75) return object_drop(atomic_exchange(&b->slot[rng_below(r, BOARD)], o));
    object **slot = &kept[rng_below(r, KEPT)];
    uint64_t sum = object_drop(*slot);
    *slot = o;
    return sum;
}

static uint64_t wave_body(unsigned index, void *shared) {
    board *b = shared;
    rng r = rng_new(((uint64_t)b->wave << 32) + index);
    object *kept[KEPT] = {0};
    uint64_t sum = 0;
    for (uint64_t i = 0; i < b->objects; i++) sum += place(b, &r, object_new(&r), kept);
    for (int i = 0; i < KEPT; i++) sum += object_drop(kept[i]);
    return sum;
}

static uint64_t clear_board(board *b, int step) {
    uint64_t sum = 0;
    for (int i = 0; i < BOARD; i += step) sum += object_drop(atomic_exchange(&b->slot[i], NULL));
    return sum;
}

uint64_t run_waves(const params *p) {
    board *b = must(calloc(1, sizeof *b));
    uint64_t sum = 0;
    b->objects = scaled_per_thread(p, 16000000) / WAVES + 1;
    for (b->wave = 0; b->wave < WAVES; b->wave++) {
        sum += on_threads(p->threads, wave_body, b);
        sum += clear_board(b, 3);
    }
    sum += clear_board(b, 1);
    free(b);
    return sum;
}
