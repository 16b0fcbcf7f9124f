// Single-threaded patterns around one call: growing realloc, large blocks, calloc, aligned allocation.
//
// Sources: growing buffers as in C++ vectors and string builders (factor 1.5, 1.25) and in line readers (+64); the rest
// are issue 5's list of where mimalloc 3 was measured to lose.
#include "workload.h"

enum { KIB = 1024, MIB = 1024 * KIB, OS_PAGE = 4096 };

// --- realloc ------------------------------------------------------------------------------------------------------

static uint64_t grow(size_t from, size_t to, size_t (*next)(size_t)) {
    unsigned char *block = allocate(from);
    stamp(block, from, from);
    for (size_t bytes = next(from); bytes <= to; bytes = next(bytes)) {
        block = must(realloc(block, bytes));
        block[bytes - 1] = (unsigned char)bytes;
    }
    uint64_t sum = stamp_of(block);
    free(block);
    return sum;
}

static size_t next_step(size_t bytes) { return bytes + 64; }
static size_t next_half(size_t bytes) { return bytes + bytes / 2; }
static size_t next_quarter(size_t bytes) { return bytes + bytes / 4; }

static uint64_t grow_repeatedly(uint64_t rounds, size_t from, size_t to, size_t (*next)(size_t)) {
    uint64_t sum = 0;
    void *neighbour = NULL; // keeps the last block of the heap from growing in place for ever
    for (uint64_t i = 0; i < rounds; i++) {
        sum += grow(from, to, next);
        free(neighbour);
        neighbour = allocate(from + 16);
    }
    free(neighbour);
    return sum;
}

uint64_t run_realloc_steps(const params *p) { return grow_repeatedly(scaled(p, 40000), 64, 16 * KIB, next_step); }
uint64_t run_realloc_half(const params *p) { return grow_repeatedly(scaled(p, 100000), 64, 64 * KIB, next_half); }
uint64_t run_realloc_huge(const params *p) { return grow_repeatedly(scaled(p, 2), MIB, 256 * MIB, next_quarter); }

// --- large blocks ---------------------------------------------------------------------------------------------------

enum { LARGE_SLOTS = 16 };

typedef struct {
    uint64_t rounds;
    size_t stride; // one write per so many bytes
} large;

static void touch(unsigned char *block, size_t bytes, size_t stride) {
    for (size_t at = 0; at < bytes; at += stride) block[at] = 1;
}

static void *large_block(rng *r, size_t stride) {
    size_t bytes = rng_power_law(r, 64 * KIB, 9);
    unsigned char *block = allocate(bytes);
    touch(block, bytes, stride);
    stamp(block, bytes, bytes);
    return block;
}

static uint64_t large_body(unsigned index, void *shared) {
    large *l = shared;
    rng r = rng_new(index);
    void *slot[LARGE_SLOTS] = {0};
    uint64_t sum = 0;
    for (uint64_t i = 0; i < l->rounds; i++) {
        void **chosen = &slot[rng_below(&r, LARGE_SLOTS)];
        if (*chosen != NULL) sum += stamp_of(*chosen);
        free(*chosen);
        *chosen = large_block(&r, l->stride);
    }
    for (int i = 0; i < LARGE_SLOTS; i++) free(slot[i]);
    return sum;
}

uint64_t run_large(const params *p) {
    large l = {scaled_per_thread(p, 400000), OS_PAGE};
    return on_threads(p->threads, large_body, &l);
}

uint64_t run_large_sparse(const params *p) {
    large l = {scaled_per_thread(p, 600000), MIB};
    return on_threads(p->threads, large_body, &l);
}

// --- calloc -----------------------------------------------------------------------------------------------------------

enum { CALLOC_SLOTS = 4096 };

static uint64_t not_zero(const unsigned char *block, size_t bytes) {
    return stamp_of(block) | block[bytes / 2] | block[bytes - 1];
}

static uint64_t calloc_into(void **slot, rng *r) {
    size_t bytes = rng_between(r, 8, 1024);
    free(*slot);
    unsigned char *block = must(calloc(1, bytes));
    uint64_t wrong = not_zero(block, bytes);
    memset(block, 0xa5, bytes < 64 ? bytes : 64);
    block[bytes - 1] = 0xa5;
    *slot = block;
    return wrong != 0;
}

uint64_t run_calloc(const params *p) {
    uint64_t rounds = scaled(p, 20000000), wrong = 0;
    void **slots = must(calloc(CALLOC_SLOTS, sizeof *slots));
    rng r = rng_new(11);
    for (uint64_t i = 0; i < rounds; i++) wrong += calloc_into(&slots[rng_below(&r, CALLOC_SLOTS)], &r);
    for (int i = 0; i < CALLOC_SLOTS; i++) free(slots[i]);
    free(slots);
    return rounds + (wrong << 32);
}

uint64_t run_calloc_huge(const params *p) {
    uint64_t wrong = 0, rounds = scaled(p, 1000);
    for (uint64_t i = 0; i < rounds; i++) {
        unsigned char *block = must(calloc(32, MIB));
        for (size_t at = 0; at < 32 * MIB; at += MIB) wrong += block[at]++;
        free(block);
    }
    return rounds + (wrong << 32);
}

// --- aligned ----------------------------------------------------------------------------------------------------------

enum { ALIGNED_SLOTS = 2048 };

static uint64_t aligned_into(void **slot, rng *r) {
    size_t align = (size_t)16 << rng_below(r, 9), bytes = rng_power_law(r, 16, 8);
    free(*slot);
    if (posix_memalign(slot, align, bytes) != 0) must(NULL);
    stamp(*slot, bytes, bytes);
    return (uintptr_t)*slot % align != 0;
}

uint64_t run_aligned(const params *p) {
    uint64_t rounds = scaled(p, 12000000), wrong = 0;
    void **slots = must(calloc(ALIGNED_SLOTS, sizeof *slots));
    rng r = rng_new(12);
    for (uint64_t i = 0; i < rounds; i++) wrong += aligned_into(&slots[rng_below(&r, ALIGNED_SLOTS)], &r);
    for (int i = 0; i < ALIGNED_SLOTS; i++) free(slots[i]);
    free(slots);
    return rounds + (wrong << 32);
}
