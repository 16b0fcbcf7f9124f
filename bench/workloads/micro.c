// Micro workloads: one pattern each, small enough that callgrind counts it.
//
// They call the engine through a table of function pointers. With `--dry` the table holds stubs, so the runner can
// subtract the loop. A stub costs two instructions where it returns a block and one where it frees; the runner adds
// these back. Sources: the pairs and batches are our own prototypes' patterns (MEASURED); `live` is random
// replacement as in Larson and Krishnan 1998 without the threads.
#include "workload.h"

engine_calls engine = {malloc, free, calloc, realloc, aligned_alloc};

// --- stubs ----------------------------------------------------------------------------------------------------

static char stub_block[128 * 1024] __attribute__((aligned(4096)));

static void *stub_malloc(size_t bytes) { return (void)bytes, stub_block; }
static void stub_free(void *block) { (void)block; }
static void *stub_calloc(size_t count, size_t bytes) { return (void)count, (void)bytes, stub_block; }
static void *stub_realloc(void *block, size_t bytes) { return (void)block, (void)bytes, stub_block; }
static void *stub_aligned(size_t align, size_t bytes) { return (void)align, (void)bytes, stub_block; }

void use_stub_engine(void) {
    engine = (engine_calls){stub_malloc, stub_free, stub_calloc, stub_realloc, stub_aligned};
}

// --- pairs -------------------------------------------------------------------------------------------------------

static uint64_t pairs(uint64_t count, size_t bytes) {
    for (uint64_t i = 0; i < count; i++) {
        volatile char *block = engine.malloc(bytes);
        *block = (char)i;
        engine.free((void *)block);
    }
    return count;
}

uint64_t run_pair_16(const params *p) { return pairs(scaled(p, 100000000), 16); }
uint64_t run_pair_32(const params *p) { return pairs(scaled(p, 100000000), 32); }
uint64_t run_pair_64(const params *p) { return pairs(scaled(p, 100000000), 64); }

uint64_t run_pair_mixed(const params *p) {
    uint64_t count = scaled(p, 80000000);
    rng r = rng_new(1);
    for (uint64_t i = 0; i < count; i++) {
        volatile char *block = engine.malloc(rng_between(&r, 16, 512));
        *block = (char)i;
        engine.free((void *)block);
    }
    return count;
}

// --- batches -------------------------------------------------------------------------------------------------------

enum { BATCH = 10000 };

static void *batch[BATCH];
static unsigned batch_order[BATCH];

static void order_lifo(void) {
    for (unsigned i = 0; i < BATCH; i++) batch_order[i] = BATCH - 1 - i;
}

static void order_fifo(void) {
    for (unsigned i = 0; i < BATCH; i++) batch_order[i] = i;
}

static void order_random(void) {
    rng r = rng_new(2);
    order_fifo();
    for (unsigned i = BATCH - 1; i > 0; i--) {
        unsigned j = (unsigned)rng_below(&r, i + 1), kept = batch_order[i];
        batch_order[i] = batch_order[j];
        batch_order[j] = kept;
    }
}

static void batch_fill(rng *r) {
    for (unsigned i = 0; i < BATCH; i++) {
        batch[i] = engine.malloc(rng_between(r, 16, 512));
        *(volatile char *)batch[i] = (char)i;
    }
}

static void batch_drain(void) {
    for (unsigned i = 0; i < BATCH; i++) engine.free(batch[batch_order[i]]);
}

static uint64_t batches(const params *p) {
    uint64_t rounds = scaled(p, 40000000) / BATCH + 1;
    rng r = rng_new(3);
    for (uint64_t i = 0; i < rounds; i++) {
        batch_fill(&r);
        batch_drain();
    }
    return rounds * BATCH;
}

uint64_t run_batch_lifo(const params *p) { return order_lifo(), batches(p); }
uint64_t run_batch_fifo(const params *p) { return order_fifo(), batches(p); }
uint64_t run_batch_random(const params *p) { return order_random(), batches(p); }

// --- random replacement ----------------------------------------------------------------------------------------------

static void *live_new(rng *r, size_t low, size_t high) {
    void *block = engine.malloc(rng_between(r, low, high));
    *(volatile char *)block = 1;
    return block;
}

static uint64_t replace(size_t live, uint64_t count, size_t low, size_t high) {
    static void *slots[1000000];
    rng r = rng_new(4);
    for (size_t i = 0; i < live; i++) slots[i] = live_new(&r, low, high);
    for (uint64_t i = 0; i < count; i++) {
        void **slot = &slots[rng_below(&r, live)];
        engine.free(*slot);
        *slot = live_new(&r, low, high);
    }
    for (size_t i = 0; i < live; i++) engine.free(slots[i]);
    return count;
}

uint64_t run_live_20k(const params *p) { return replace(20000, scaled(p, 25000000), 16, 512); }
uint64_t run_live_1m(const params *p) { return replace(1000000, scaled(p, 8000000), 16, 128); }
uint64_t run_medium(const params *p) { return replace(1000, scaled(p, 20000000), 1024, 65536); }

// --- the other calls -------------------------------------------------------------------------------------------------

uint64_t run_calloc_small(const params *p) {
    uint64_t count = scaled(p, 40000000);
    rng r = rng_new(5);
    for (uint64_t i = 0; i < count; i++) {
        volatile char *block = engine.calloc(1, rng_between(&r, 16, 256));
        *block = (char)i;
        engine.free((void *)block);
    }
    return count;
}

uint64_t run_aligned_64(const params *p) {
    uint64_t count = scaled(p, 40000000);
    rng r = rng_new(6);
    for (uint64_t i = 0; i < count; i++) {
        volatile char *block = engine.aligned_alloc(64, rng_between(&r, 1, 8) * 64);
        *block = (char)i;
        engine.free((void *)block);
    }
    return count;
}

static uint64_t grow_by_steps(void) {
    volatile char *block = engine.malloc(64);
    uint64_t calls = 0;
    for (size_t bytes = 128; bytes <= 16384; bytes += 64, calls++) {
        block = engine.realloc((void *)block, bytes);
        block[bytes - 1] = 1;
    }
    engine.free((void *)block);
    return calls;
}

static uint64_t grow_by_half(void) {
    volatile char *block = engine.malloc(64);
    uint64_t calls = 0;
    for (size_t bytes = 96; bytes <= 65536; bytes += bytes / 2, calls++) {
        block = engine.realloc((void *)block, bytes);
        block[bytes - 1] = 1;
    }
    engine.free((void *)block);
    return calls;
}

static uint64_t repeat(uint64_t (*grow)(void), uint64_t calls) {
    uint64_t done = 0;
    while (done < calls) done += grow();
    return done;
}

uint64_t run_realloc_64(const params *p) { return repeat(grow_by_steps, scaled(p, 15000000)); }
uint64_t run_realloc_15(const params *p) { return repeat(grow_by_half, scaled(p, 2000000)); }
