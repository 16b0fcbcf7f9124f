// Larson's server: a lane of threads, each of which replaces random blocks of its table, hands the table to a
// successor that it starts, and ends. So most frees are of blocks of another, often dead, thread.
//
// Source: Larson and Krishnan, "Memory allocation for long-running server applications", ISMM 1998; parameters as in
// mimalloc-bench (sizes 8 to 1000, tables of 5,000), but with a fixed amount of work in place of a fixed time.
#include "workload.h"

#include <pthread.h>
#include <semaphore.h>

enum { TABLE = 5000, GENERATIONS = 40 };

typedef struct {
    void *slot[TABLE];
    rng random;
    uint64_t checksum, replacements;
    unsigned generations_left;
    sem_t finished;
} lane;

static void *block_new(lane *l) {
    size_t bytes = rng_between(&l->random, 8, 1000);
    void *block = allocate(bytes);
    stamp(block, bytes, bytes);
    return block;
}

static void replace_some(lane *l) {
    for (uint64_t i = 0; i < l->replacements; i++) {
        void **slot = &l->slot[rng_below(&l->random, TABLE)];
        l->checksum += stamp_of(*slot);
        free(*slot);
        *slot = block_new(l);
    }
}

static void *generation(void *argument);

static void start_generation(lane *l) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, generation, l) != 0) must(NULL);
    pthread_detach(thread);
}

static void *generation(void *argument) {
    lane *l = argument;
    replace_some(l);
    if (--l->generations_left > 0) start_generation(l);
    else sem_post(&l->finished);
    return NULL;
}

static lane *lane_start(uint64_t seed, uint64_t replacements) {
    lane *l = allocate(sizeof *l);
    l->random = rng_new(seed);
    l->checksum = 0, l->replacements = replacements, l->generations_left = GENERATIONS;
    sem_init(&l->finished, 0, 0);
    for (int i = 0; i < TABLE; i++) l->slot[i] = block_new(l);
    start_generation(l);
    return l;
}

static uint64_t lane_finish(lane *l) {
    while (sem_wait(&l->finished) != 0) {}
    for (int i = 0; i < TABLE; i++) free(l->slot[i]);
    uint64_t checksum = l->checksum;
    sem_destroy(&l->finished);
    free(l);
    return checksum;
}

uint64_t run_larson(const params *p) {
    lane *lanes[p->threads];
    uint64_t replacements = scaled_per_thread(p, 24000000) / GENERATIONS + 1, checksum = 0;
    for (unsigned i = 0; i < p->threads; i++) lanes[i] = lane_start(i, replacements);
    for (unsigned i = 0; i < p->threads; i++) checksum += lane_finish(lanes[i]);
    return checksum;
}
