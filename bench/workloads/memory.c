// What stays resident: after a burst and a rest, with few survivors among many dead, and with many threads.
//
// Source: the scenarios of MEASURED, "Where C v3.4.3 hurts its users". The figure to look at is the final RSS, which
// the program reads while the survivors are still alive.
#include "workload.h"

#include <pthread.h>
#include <unistd.h>

static void **fill(size_t count, size_t low, size_t high) {
    void **block = allocate(count * sizeof *block);
    rng r = rng_new(14);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = rng_between(&r, low, high);
        block[i] = memset(allocate(bytes), 1, bytes);
    }
    return block;
}

// --- a burst of 250 MiB, freed but for one block in a hundred, half of it on another thread, then idle ---------------------

typedef struct {
    void **block;
    size_t from, to;
} range;

static uint64_t free_range(unsigned index, void *shared) {
    range *r = shared;
    (void)index;
    for (size_t i = r->from; i < r->to; i++)
        if (i % 100 != 0) free(r->block[i]);
    return 0;
}

uint64_t run_idle_after_burst(const params *p) {
    size_t count = scaled(p, 500000);
    void **block = fill(count, 16, 1000);
    range second = {block, count / 2, count}, first = {block, 0, count / 2};
    on_threads(1, free_range, &second);
    free_range(0, &first);
    for (int i = 0; i < 20; i++) { // a program at rest still does a little
        usleep(50000);
        free(allocate(64));
    }
    return count;
}

// --- one block of 512 bytes in twenty survives -------------------------------------------------------------------------

uint64_t run_survivors(const params *p) {
    size_t count = scaled(p, 400000);
    void **block = fill(count, 512, 512);
    for (size_t i = 0; i < count; i++)
        if (i % 20 != 0) free(block[i]);
    for (int i = 0; i < 10; i++) {
        usleep(50000);
        free(allocate(64));
    }
    return count;
}

// --- many threads at once, each with eight sizes ---------------------------------------------------------------------------

static pthread_barrier_t everyone;

static uint64_t eight_sizes(unsigned index, void *shared) {
    void *block[8];
    (void)shared;
    for (int i = 0; i < 8; i++) {
        size_t bytes = (size_t)16 << i;
        block[i] = memset(allocate(bytes), 1, bytes);
    }
    pthread_barrier_wait(&everyone);
    for (int i = 0; i < 8; i++) free(block[i]);
    return index;
}

uint64_t run_many_threads(const params *p) {
    unsigned threads = (unsigned)scaled(p, 500);
    pthread_barrier_init(&everyone, NULL, threads);
    uint64_t sum = on_threads(threads, eight_sizes, NULL);
    pthread_barrier_destroy(&everyone);
    return sum;
}
