// Very many big blocks of which only the first byte is touched: what does a block cost at 8, 64, 512 GiB of addresses?
//
// Every thread makes its share of blocks of 0.6 to 3.6 MiB, keeps all of them, and frees them when all threads have
// made theirs. `block_ns` is the wall time of making and of freeing, by the number of blocks. The runner watches the
// memory that is really used and ends the program before the machine suffers.
#include "workload.h"

#include <pthread.h>
#include <time.h>

enum { KIB = 1024 };
#define GIB ((uint64_t)1 << 30)
#define LEAST_BYTES ((size_t)600 * KIB)
#define MOST_BYTES ((size_t)3600 * KIB)

typedef struct {
    uint64_t blocks; // of each thread
    pthread_barrier_t begun, made, freed;
    double begin, middle, end;
} addresses;

static double nanoseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

// All threads wait; one of them notes the time.
static void meet(pthread_barrier_t *barrier, double *time) {
    if (pthread_barrier_wait(barrier) == PTHREAD_BARRIER_SERIAL_THREAD) *time = nanoseconds();
}

static uint64_t use_addresses(unsigned index, void *shared) {
    addresses *a = shared;
    rng r = rng_new(index);
    uint64_t sum = 0;
    unsigned char **block = allocate(a->blocks * sizeof *block);
    meet(&a->begun, &a->begin);
    for (uint64_t i = 0; i < a->blocks; i++) {
        block[i] = allocate(rng_between(&r, LEAST_BYTES, MOST_BYTES));
        block[i][0] = (unsigned char)i;
    }
    meet(&a->made, &a->middle);
    for (uint64_t i = 0; i < a->blocks; i++) {
        sum += block[i][0];
        free(block[i]);
    }
    meet(&a->freed, &a->end);
    free(block);
    return sum;
}

static uint64_t run(const params *p, uint64_t gibibytes) {
    uint64_t blocks = scaled_per_thread(p, gibibytes * GIB / ((LEAST_BYTES + MOST_BYTES) / 2));
    addresses a = {.blocks = blocks};
    pthread_barrier_t *barriers[] = {&a.begun, &a.made, &a.freed};
    for (int i = 0; i < 3; i++) pthread_barrier_init(barriers[i], NULL, p->threads);
    uint64_t sum = on_threads(p->threads, use_addresses, &a);
    double all = (double)(blocks * p->threads);
    printf("make_block_ns=%.0f\nfree_block_ns=%.0f\n", (a.middle - a.begin) / all, (a.end - a.middle) / all);
    return sum;
}

uint64_t run_addresses_8g(const params *p) { return run(p, 8); }
uint64_t run_addresses_64g(const params *p) { return run(p, 64); }
uint64_t run_addresses_512g(const params *p) { return run(p, 512); }
