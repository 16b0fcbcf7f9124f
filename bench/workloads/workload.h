// What every workload shares: its parameters, a random generator, threads, and the catalogue.
//
// A workload is one function `uint64_t run(const params *)`. It calls plain malloc and free, so that one binary
// runs on every engine by preloading, and returns a checksum that depends on the parameters alone: never on an
// address, nor on how threads interleave. The runner compares the checksums of all engines.
#ifndef FERRIMALLOC_WORKLOAD_H
#define FERRIMALLOC_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    unsigned threads;
    double scale; // 1.0 is about a second; operation counts are multiplied by it
} params;

typedef uint64_t workload_fn(const params *);

// --- parameters ---------------------------------------------------------------------------------------------

static inline uint64_t scaled(const params *p, uint64_t count) {
    double n = (double)count * p->scale;
    return n < 1.0 ? 1 : (uint64_t)n;
}

// The total work is the same for every number of threads, so that rows can be compared.
static inline uint64_t scaled_per_thread(const params *p, uint64_t count) {
    uint64_t n = scaled(p, count) / p->threads;
    return n == 0 ? 1 : n;
}

// --- random numbers (xorshift64*, Vigna 2014) ----------------------------------------------------------------

typedef struct {
    uint64_t state;
} rng;

static inline uint64_t mix64(uint64_t x) { // splitmix64's finaliser
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline rng rng_new(uint64_t seed) {
    rng r = {mix64(seed + 0x9e3779b97f4a7c15u) | 1};
    return r;
}

static inline uint64_t rng_next(rng *r) {
    uint64_t x = r->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    r->state = x;
    return x * 0x2545f4914f6cdd1du;
}

static inline size_t rng_below(rng *r, size_t bound) { // bound < 2^32
    return (size_t)(((rng_next(r) >> 32) * (uint64_t)bound) >> 32);
}

static inline size_t rng_between(rng *r, size_t low, size_t high) { // inclusive
    return low + rng_below(r, high - low + 1);
}

// Sizes by a power law: each doubling is half as frequent, from `low` to below `low << doublings`.
static inline size_t rng_power_law(rng *r, size_t low, unsigned doublings) {
    uint64_t bits = rng_next(r);
    unsigned exponent = (unsigned)__builtin_ctzll(bits | (1ull << (doublings - 1)));
    size_t base = low << exponent;
    return base + (size_t)((bits >> 40) % base);
}

// --- blocks ---------------------------------------------------------------------------------------------------

void *must(void *block); // ends the program on null: an engine that fails a workload must not look fast

static inline void *allocate(size_t bytes) { return must(malloc(bytes)); }

// Writes both ends of a block of at least 8 bytes, as a program that uses it would touch it.
static inline void stamp(void *block, size_t bytes, uint64_t value) {
    ((unsigned char *)block)[bytes - 1] = (unsigned char)value;
    memcpy(block, &value, sizeof value);
}

static inline uint64_t stamp_of(const void *block) {
    uint64_t value;
    memcpy(&value, block, sizeof value);
    return value;
}

// --- threads ---------------------------------------------------------------------------------------------------

// Runs `body(index, shared)` on `count` threads and returns the sum of what they returned.
uint64_t on_threads(unsigned count, uint64_t (*body)(unsigned index, void *shared), void *shared);

// --- the catalogue: name, function, group, thread counts, source of the pattern -------------------------------------

#define WORKLOADS(W)                                                                                                   \
    W("factoring", run_factoring, "programs", "1", "cfrac of Zorn and Grunwald's suite: short-lived small numbers")       \
    W("bdd", run_bdd, "programs", "1", "espresso's place in the same suite; Bryant 1986, N-queens as a BDD")              \
    W("n-body", run_nbody, "programs", "1", "Barnes and Hut 1986; barnes in Hoard's suite")                              \
    W("compiler", run_compiler, "programs", "1", "gcc's obstacks and growing vectors, phase by phase")                   \
    W("json", run_json, "programs", "1", "a document tree: parse, change, print, drop")                                  \
    W("key-value", run_key_value, "programs", "1", "cache traces with skewed keys: Atikoglu et al. 2012")                \
    W("string-building", run_strings, "programs", "1", "appending, splitting, joining, sorting")                         \
    W("string-map", run_string_map, "programs", "1,2", "an ordered tree of strings, filled and drained")                 \
    W("larson", run_larson, "threads", "1,2,8,32", "Larson and Krishnan 1998: threads inherit others' blocks")           \
    W("batches", run_batches, "threads", "1,2,8,32", "sh6bench of MicroQuill: batches freed in odd orders")              \
    W("batches-shared", run_batches_shared, "threads", "2,8,32", "sh8bench of MicroQuill: batches freed elsewhere")      \
    W("handoff-pairs", run_handoff_pairs, "threads", "2,8,32", "xmalloc-test, Lever and Boreham 2000: 1 to 1")           \
    W("handoff-fan-in", run_handoff_fan_in, "threads", "9", "the same, 8 producers to 1 consumer")                      \
    W("handoff-ring", run_handoff_ring, "threads", "2,8,32", "the same, each thread frees its neighbour's blocks")       \
    W("cache-scratch", run_cache_scratch, "threads", "1,2,8", "Berger et al. 2000 (Hoard): passive false sharing")       \
    W("cache-thrash", run_cache_thrash, "threads", "1,2,8", "Berger et al. 2000 (Hoard): active false sharing")          \
    W("lifetimes", run_lifetimes, "threads", "1,2,8,32", "alloc-test of node.cpp: power-law sizes, random lives")        \
    W("waves", run_waves, "threads", "1,2,8,32", "mimalloc's own stress test: waves with migration")                     \
    W("medium-spread", run_medium_spread, "threads", "1,2,8,32", "rptest: sizes to 64 KiB, freed across threads")        \
    W("one-size", run_one_size, "threads", "1,2,8,32", "glibc's bench-malloc-simple and -thread")                        \
    W("server", run_server, "threads", "2,8,32", "requests parsed here, answered and freed there")                       \
    W("thread-churn", run_thread_churn, "threads", "1,2,8", "threads that live for eight blocks")                        \
    W("realloc-steps", run_realloc_steps, "single", "1", "a buffer growing by 64 bytes to 16 KiB")                       \
    W("realloc-half", run_realloc_half, "single", "1", "a vector growing by one half to 64 KiB")                         \
    W("realloc-huge", run_realloc_huge, "single", "1", "a vector growing by a quarter from 1 to 256 MiB")                \
    W("large", run_large, "single", "1,2", "64 KiB to 32 MiB, every page written")                                       \
    W("large-sparse", run_large_sparse, "single", "1", "64 KiB to 32 MiB, few pages written")                            \
    W("calloc", run_calloc, "single", "1", "zeroed blocks to 1 KiB with a live set")                                     \
    W("calloc-huge", run_calloc_huge, "single", "1", "zeroed 32 MiB blocks, few pages touched")                          \
    W("aligned", run_aligned, "single", "1", "posix_memalign, 16 B to 4 KiB alignment")                                  \
    W("live-million", run_live_million, "single", "1", "a million live objects replaced at random")                      \
    W("idle-after-burst", run_idle_after_burst, "memory", "1", "250 MiB freed, half on another thread, then idle")       \
    W("survivors", run_survivors, "memory", "1", "one block in twenty survives")                                         \
    W("many-threads", run_many_threads, "memory", "1", "500 threads at once, eight sizes each")                          \
    W("micro-pair-16", run_pair_16, "micro", "1", "one block, again and again")                                          \
    W("micro-pair-32", run_pair_32, "micro", "1", "one block, again and again")                                          \
    W("micro-pair-64", run_pair_64, "micro", "1", "one block, again and again")                                          \
    W("micro-pair-mixed", run_pair_mixed, "micro", "1", "one block of 16 to 512 bytes")                                  \
    W("micro-batch-lifo", run_batch_lifo, "micro", "1", "10,000 mixed blocks, last freed first")                         \
    W("micro-batch-fifo", run_batch_fifo, "micro", "1", "10,000 mixed blocks, first freed first")                        \
    W("micro-batch-random", run_batch_random, "micro", "1", "10,000 mixed blocks, freed in random order")                \
    W("micro-live-20k", run_live_20k, "micro", "1", "random replacement among 20,000 live blocks")                       \
    W("micro-live-1m", run_live_1m, "micro", "1", "random replacement among a million live blocks")                      \
    W("micro-medium", run_medium, "micro", "1", "random replacement, 1 to 64 KiB")                                       \
    W("micro-calloc", run_calloc_small, "micro", "1", "calloc of 16 to 256 bytes")                                       \
    W("micro-aligned-64", run_aligned_64, "micro", "1", "aligned_alloc on 64 bytes")                                     \
    W("micro-realloc-64", run_realloc_64, "micro", "1", "realloc in steps of 64 bytes to 16 KiB")                        \
    W("micro-realloc-half", run_realloc_15, "micro", "1", "realloc by one half to 64 KiB")                             \
    W("factoring-44", run_factoring_44, "field", "1", "cfrac's number of 44 digits in mimalloc-bench")                 \
    W("cover", run_cover, "field", "1", "espresso's steps on covers of 16 inputs")                                     \
    W("cover-64", run_cover_64, "field", "1", "the same, 64 inputs")                                                   \
    W("n-body-large", run_nbody_large, "field", "1", "barnes with mimalloc-bench's 163,840 bodies")                    \
    W("alloc-test", run_alloc_test, "field", "1,2", "OLogN's alloc-test: Pareto's positions, sizes to 1 KiB")          \
    W("alloc-test-64k", run_alloc_test_64k, "field", "1,2", "the same, sizes to 64 KiB")                               \
    W("larson-hoard", run_larson_hoard, "field", "2,8,32", "Hoard's larson: 7 or 8 bytes, tables of 1,000")            \
    W("mstress", run_mstress, "field", "2,8,32", "mimalloc-bench's mstress `T 50`")                                    \
    W("test-stress", run_test_stress, "field", "2,8,32", "mimalloc's own stress test, `T 50`")                         \
    W("rptest", run_rptest, "field", "2,8", "rpmalloc's benchmark, 8 to 16,000 bytes, linear")                         \
    W("rptest-128k", run_rptest_128k, "field", "2,8", "the same, 8 to 128,000 bytes, exponential")                     \
    W("xmalloc", run_xmalloc, "field", "1,4", "xmalloc-test `-s 64`: freeing threads never allocate")                  \
    W("xmalloc-mixed", run_xmalloc_mixed, "field", "1,4", "the same, `-s -1`: 8 to 2,048 bytes")                       \
    W("cache-scratch-1b", run_cache_scratch_1b, "field", "1,2,8", "cache-scratch `T 1000 1 2000000 T`")                \
    W("cache-thrash-1b", run_cache_thrash_1b, "field", "1,2,8", "cache-thrash `T 1000 1 2000000 T`")                   \
    W("mleak-10", run_mleak_10, "field", "1", "mimalloc-bench's `mleak 5`: 5,000 threads, one object each")            \
    W("mleak-100", run_mleak_100, "field", "1", "the same, `mleak 50`: 50,000 threads")                                \
    W("threads-256", run_threads_256, "field", "1,2,8", "threads that live for 4 times 64 blocks, 16 B to 2 KiB")      \
    W("malloc-large", run_malloc_large, "field", "1", "mimalloc-bench's: 20 live blocks of 5 to 25 MiB")               \
    W("malloc-large-2m", run_malloc_large_2m, "field", "1", "its later form: one block of 2 MiB at a time")            \
    W("dozens", run_dozens, "field", "1,2", "48 live blocks, 64 KiB to 16 MiB, every page written")                    \
    W("sparse-64k", run_sparse_64k, "field", "1,2", "48 live blocks, 64 KiB to 16 MiB, one byte in 64 KiB written")    \
    W("sparse-first", run_sparse_first, "field", "1,2", "the same, the first byte written")                            \
    W("vectors", run_vectors, "field", "1", "vectors that grow by one half to 4-200 KB")                               \
    W("vectors-64", run_vectors_64, "field", "1", "the same, 64 at once")                                              \
    W("day", run_day, "day", "4", "a server's day at 1/1000 of its time: Maas et al. 2020, Zhou et al. 2024")         \
    W("addresses-8g", run_addresses_8g, "scale", "4,256", "8 GiB of blocks of 0.6 to 3.6 MiB, one byte touched")       \
    W("addresses-64g", run_addresses_64g, "scale", "4,256", "the same, 64 GiB")                                        \
    W("addresses-512g", run_addresses_512g, "scale", "4,256", "the same, 512 GiB")

#define DECLARE_WORKLOAD(name, run, group, threads, source) workload_fn run;
WORKLOADS(DECLARE_WORKLOAD)

// Micro workloads call the engine through this table; `--dry` swaps in stubs, which measures the loop alone.
typedef struct {
    void *(*malloc)(size_t);
    void (*free)(void *);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*aligned_alloc)(size_t, size_t);
} engine_calls;

extern engine_calls engine;
void use_stub_engine(void);

#ifdef __cplusplus
}
#endif
#endif
