/* A heap that several threads allocate in, and that ends with everything in it at once. */
#include "check.h"
#include <pthread.h>

typedef struct node_s { struct node_s* next; int value; } node_t;
typedef struct { mi_heap_t* heap; int first, count; node_t* list; } job_t;

static void* build_list(void* arg) {
  job_t* job = (job_t*)arg;
  for (int i = 0; i < job->count; i++) {
    node_t* node = mi_heap_malloc_tp(node_t, job->heap);
    node->next = job->list;
    node->value = job->first + i;
    job->list = node;
  }
  return NULL;
}

static long long sum(const node_t* list) {
  long long total = 0;
  for (; list != NULL; list = list->next) total += list->value;
  return total;
}

int main(void) {
  enum { THREADS = 4, EACH = 10000 };
  mi_heap_t* request = mi_heap_new();
  job_t jobs[THREADS];
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) {
    jobs[i] = (job_t){request, i * EACH, EACH, NULL};
    pthread_create(&threads[i], NULL, &build_list, &jobs[i]);
  }
  long long total = 0;
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    total += sum(jobs[i].list); /* the lists outlive the threads that made them */
  }
  CHECK(total == (long long)(THREADS * EACH) * (THREADS * EACH - 1) / 2);
  CHECK(mi_heap_contains(request, jobs[0].list));
  const void* node = jobs[0].list;
  mi_heap_destroy(request); /* no list needs to be walked */
  CHECK(!mi_heap_contains(mi_heap_main(), node));
  return check_report();
}
