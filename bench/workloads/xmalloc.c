// As many threads that only make blocks as threads that only free them; batches travel on one stack under a lock.
//
// Parameters of xmalloc-test (Lever and Boreham, USENIX 2000; mimalloc-bench `-w T -s 64`): batches of 4,096 blocks, at
// most 100 of them waiting, blocks of 64 bytes whose first 128 bytes are written; the second set is its `-s -1`,
// seventeen sizes from 8 to 2,048 bytes. The number of threads counts the makers; a freeing thread never calls malloc.
#include "workload.h"

#include <pthread.h>

enum { BATCH = 4096, MOST_WAITING = 100, WRITTEN = 128 };

typedef struct batch {
    struct batch *next;
    unsigned char *block[BATCH];
} batch;

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    batch *top;
    unsigned waiting;
    uint64_t batches; // that each thread makes or frees
    size_t (*bytes)(rng *);
} stack;

static void stack_push(stack *s, batch *b) {
    pthread_mutex_lock(&s->lock);
    while (s->waiting == MOST_WAITING) pthread_cond_wait(&s->not_full, &s->lock);
    b->next = s->top;
    s->top = b;
    s->waiting++;
    pthread_cond_signal(&s->not_empty);
    pthread_mutex_unlock(&s->lock);
}

static batch *stack_pop(stack *s) {
    pthread_mutex_lock(&s->lock);
    while (s->waiting == 0) pthread_cond_wait(&s->not_empty, &s->lock);
    batch *b = s->top;
    s->top = b->next;
    s->waiting--;
    pthread_cond_signal(&s->not_full);
    pthread_mutex_unlock(&s->lock);
    return b;
}

static batch *batch_new(stack *s, rng *r) {
    batch *b = allocate(sizeof *b);
    for (int i = 0; i < BATCH; i++) {
        size_t bytes = s->bytes(r);
        b->block[i] = allocate(bytes);
        memset(b->block[i], i, bytes < WRITTEN ? bytes : WRITTEN);
    }
    return b;
}

static uint64_t batch_drop(batch *b) {
    uint64_t sum = 0;
    for (int i = 0; i < BATCH; i++) {
        sum += b->block[i][0];
        free(b->block[i]);
    }
    free(b);
    return sum;
}

static uint64_t maker_or_freer(unsigned index, void *shared) {
    stack *s = shared;
    rng r = rng_new(index);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < s->batches; i++)
        if (index % 2 == 0) sum += batch_drop(stack_pop(s));
        else stack_push(s, batch_new(s, &r));
    return sum;
}

static uint64_t run(const params *p, size_t (*bytes)(rng *), uint64_t batches) {
    stack s = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, .bytes = bytes};
    s.batches = scaled_per_thread(p, batches);
    return on_threads(2 * p->threads, maker_or_freer, &s);
}

static size_t one_size(rng *r) { return (void)r, 64; }

static size_t many_sizes(rng *r) { // 8, 12, 16, 24, 32, …, 1536, 2048
    size_t step = rng_below(r, 17);
    return ((size_t)8 << step / 2) + (step % 2) * ((size_t)4 << step / 2);
}

uint64_t run_xmalloc(const params *p) { return run(p, one_size, 5000); }
uint64_t run_xmalloc_mixed(const params *p) { return run(p, many_sizes, 2500); }
