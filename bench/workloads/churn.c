// Random replacement in tables: sizes by a power law, sizes to 64 KiB across threads, one size, a million objects.
//
// Sources: `lifetimes` after alloc-test (node.cpp's, in mimalloc-bench); `medium_spread` after rptest (rpmalloc's
// benchmark); `one_size` after glibc's bench-malloc-simple and bench-malloc-thread; `live_million` is issue 5's own.
#include "workload.h"

#include <pthread.h>

// --- lifetimes --------------------------------------------------------------------------------------------------

enum { LIFETIME_SLOTS = 1 << 17, LIFETIME_LIMIT_DOUBLINGS = 9 };

typedef struct {
    uint64_t rounds;
    size_t slots;
} lifetimes;

static uint64_t flip_slot(void **slot, rng *r) { // empty: fill; full: check and free
    if (*slot == NULL) {
        size_t bytes = rng_power_law(r, 12, LIFETIME_LIMIT_DOUBLINGS);
        *slot = allocate(bytes);
        stamp(*slot, bytes, bytes);
        return 0;
    }
    uint64_t value = stamp_of(*slot);
    free(*slot);
    *slot = NULL;
    return value;
}

static void free_all(void **slots, size_t count) {
    for (size_t i = 0; i < count; i++) free(slots[i]);
    free(slots);
}

static uint64_t lifetimes_body(unsigned index, void *shared) {
    lifetimes *l = shared;
    void **slots = must(calloc(l->slots, sizeof *slots));
    rng r = rng_new(index);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < l->rounds; i++) sum += flip_slot(&slots[rng_below(&r, l->slots)], &r);
    free_all(slots, l->slots);
    return sum;
}

uint64_t run_lifetimes(const params *p) {
    lifetimes l = {scaled_per_thread(p, 40000000), LIFETIME_SLOTS / p->threads};
    return on_threads(p->threads, lifetimes_body, &l);
}

// --- sizes to 64 KiB across threads ------------------------------------------------------------------------------

enum { SPREAD_SLOTS = 256, SPREAD_PARCEL = 32, SPREAD_EXCHANGE = 32 };

typedef struct {
    void *block[SPREAD_PARCEL];
} spread_parcel;

typedef struct {
    pthread_mutex_t lock;
    spread_parcel *slot[SPREAD_EXCHANGE];
    uint64_t rounds;
} spread_exchange;

static void *spread_block(rng *r) {
    size_t bytes = rng_between(r, 16, rng_next(r) & 1 ? 4096 : 65536);
    void *block = allocate(bytes);
    stamp(block, bytes, bytes);
    return block;
}

static uint64_t checked_free(void *block) {
    uint64_t value = stamp_of(block);
    free(block);
    return value;
}

static uint64_t spread_drop(spread_parcel *parcel) {
    uint64_t sum = 0;
    for (int i = 0; i < SPREAD_PARCEL; i++) sum += checked_free(parcel->block[i]);
    free(parcel);
    return sum;
}

static uint64_t spread_trade(spread_exchange *e, rng *r) { // leave a parcel for another thread, free what lies there
    spread_parcel *given = allocate(sizeof *given);
    for (int i = 0; i < SPREAD_PARCEL; i++) given->block[i] = spread_block(r);
    size_t index = rng_below(r, SPREAD_EXCHANGE);
    pthread_mutex_lock(&e->lock);
    spread_parcel *taken = e->slot[index];
    e->slot[index] = given;
    pthread_mutex_unlock(&e->lock);
    return taken == NULL ? 0 : spread_drop(taken);
}

static uint64_t spread_body(unsigned index, void *shared) {
    spread_exchange *e = shared;
    void *slots[SPREAD_SLOTS];
    rng r = rng_new(index);
    uint64_t sum = 0;
    for (int i = 0; i < SPREAD_SLOTS; i++) slots[i] = spread_block(&r);
    for (uint64_t i = 1; i <= e->rounds; i++) {
        void **slot = &slots[rng_below(&r, SPREAD_SLOTS)];
        sum += checked_free(*slot);
        *slot = spread_block(&r);
        if (i % (2 * SPREAD_PARCEL) == 0) sum += spread_trade(e, &r);
    }
    for (int i = 0; i < SPREAD_SLOTS; i++) sum += checked_free(slots[i]);
    return sum;
}

uint64_t run_medium_spread(const params *p) {
    spread_exchange e = {.lock = PTHREAD_MUTEX_INITIALIZER, .rounds = scaled_per_thread(p, 4000000)};
    uint64_t sum = on_threads(p->threads, spread_body, &e);
    for (int i = 0; i < SPREAD_EXCHANGE; i++)
        if (e.slot[i] != NULL) sum += spread_drop(e.slot[i]);
    return sum;
}

// --- one size -------------------------------------------------------------------------------------------------------

enum { ONE_SIZE_BLOCKS = 1600, ONE_SIZE_BYTES = 48 };

static uint64_t one_size_body(unsigned index, void *shared) {
    uint64_t rounds = *(uint64_t *)shared, sum = index;
    void *block[ONE_SIZE_BLOCKS];
    for (uint64_t i = 0; i < rounds; i++) {
        for (int j = 0; j < ONE_SIZE_BLOCKS; j++) stamp(block[j] = allocate(ONE_SIZE_BYTES), ONE_SIZE_BYTES, i);
        for (int j = 0; j < ONE_SIZE_BLOCKS; j++) sum += checked_free(block[j]);
    }
    return sum;
}

uint64_t run_one_size(const params *p) {
    uint64_t rounds = scaled_per_thread(p, 120000);
    return on_threads(p->threads, one_size_body, &rounds);
}

// --- a million live objects ---------------------------------------------------------------------------------------

enum { MILLION = 1000000 };

static void *million_object(rng *r) {
    size_t bytes = rng_power_law(r, 16, 6);
    void *block = allocate(bytes);
    stamp(block, bytes, bytes);
    return block;
}

uint64_t run_live_million(const params *p) {
    uint64_t rounds = scaled(p, 8000000), sum = 0;
    void **slots = allocate(MILLION * sizeof *slots);
    rng r = rng_new(9);
    for (size_t i = 0; i < MILLION; i++) slots[i] = million_object(&r);
    for (uint64_t i = 0; i < rounds; i++) {
        void **slot = &slots[rng_below(&r, MILLION)];
        sum += checked_free(*slot);
        *slot = million_object(&r);
    }
    free_all(slots, MILLION);
    return sum;
}
