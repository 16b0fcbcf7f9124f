/* Process, thread, hooks, upkeep. */
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>

/* -- deferred free -- */

typedef struct {
  unsigned long long last;
  long calls, backwards, forced;
  bool inside, nested;
  void* put_off;
} beats_t;

static void on_beat(bool force, unsigned long long heartbeat, void* arg) {
  beats_t* beats = (beats_t*)arg;
  if (beats->inside) beats->nested = true;
  beats->inside = true;
  beats->calls++;
  beats->forced += force;
  if (heartbeat < beats->last) beats->backwards++;
  beats->last = heartbeat;
  mi_free(beats->put_off); /* freeing and allocating is allowed here */
  beats->put_off = mi_malloc(100);
  beats->inside = false;
}

static void allocate_much(void) {
  enum { COUNT = 1000 };
  void* blocks[COUNT];
  for (int round = 0; round < 40; round++) {
    for (int i = 0; i < COUNT; i++) blocks[i] = mi_malloc((size_t)(i % 50) * 40 + 1);
    for (int i = 0; i < COUNT; i++) mi_free(blocks[i]);
  }
}

static void test_deferred_free(void) {
  static beats_t beats;
  mi_register_deferred_free(&on_beat, &beats);
  allocate_much();
  CHECK(beats.calls > 0);
  CHECK(beats.backwards == 0);
  CHECK(!beats.nested);
  CHECK(beats.last > 0);
  mi_collect(false);
  long calls = beats.calls;
  mi_collect(true);
  CHECK(beats.calls > calls);
  CHECK(beats.forced > 0);
  mi_register_deferred_free(NULL, NULL);
  calls = beats.calls;
  allocate_much();
  mi_collect(true);
  CHECK(beats.calls == calls);
  mi_free(beats.put_off);
}

/* -- output and errors -- */

static void test_output(void) {
  static text_t text;
  mi_register_output(&add_text, &text);
  mi_options_print();
  mi_register_output(NULL, NULL);
  CHECK(text.length > 0);
  CHECK(says(&text, "purge_delay"));
}

static void test_errors(void) {
  reports_t seen = NO_REPORTS;
  mi_register_error(&count_report, &seen);
  void* volatile p = mi_malloc(TOO_LARGE);
  CHECK(p == NULL && seen.overflow > 0);
  mi_register_error(NULL, NULL);
  int before = seen.overflow;
  p = mi_malloc(TOO_LARGE);
  CHECK(p == NULL && seen.overflow == before);
}

/* -- information -- */

static void test_version(void) {
  CHECK(mi_version() == (on_ours() ? 30602 : 30403)); /* ours serves programs that were compiled for 3.4.3, too */
  CHECK(MI_MALLOC_VERSION >= 30403);
  CHECK(!mi_is_redirected());
}

static void test_process_info(void) {
  size_t elapsed = 0, user = 0, system = 0, rss = 0, peak_rss = 0, commit = 0, peak_commit = 0, faults = 0;
  void* p = mi_malloc(20 << 20);
  memset(p, 1, 20 << 20);
  usleep(20000);
  mi_process_info(&elapsed, &user, &system, &rss, &peak_rss, &commit, &peak_commit, &faults);
  CHECK(elapsed >= 15 && elapsed < 600000);
  CHECK(user < 600000 && system < 600000);
  CHECK(peak_rss >= 20u << 20);
  CHECK(rss > 0 && rss <= ((size_t)1 << 40));
  CHECK(commit >= 20u << 20);
  CHECK(peak_commit >= commit);
  CHECK(faults < 10000000);
  mi_free(p);
  mi_process_info(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
  size_t later = 0;
  mi_process_info(&later, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
  CHECK(later >= elapsed);
}

static void test_process_info_text(void) {
  static text_t text;
  mi_process_info_print_out(&add_text, &text);
  CHECK(says(&text, "elapsed"));
  CHECK(says(&text, "rss"));
  static text_t registered;
  mi_register_output(&add_text, &registered);
  mi_process_info_print();
  mi_register_output(NULL, NULL);
  CHECK(says(&registered, "elapsed"));
}

/* -- upkeep -- */

static void test_collect(void) {
  void* p = mi_malloc(1000);
  memset(p, 9, 1000);
  mi_collect(false);
  mi_collect(true);
  CHECK(all_bytes(p, 9, 1000)); /* touches no live block */
  mi_free(p);
  mi_collect(true);
}

/* Declared by the reference, but missing in its library. */
static void test_collect_reduce(void) {
  void (*reduce)(size_t) = NULL;
  *(void**)&reduce = dlsym(RTLD_DEFAULT, "mi_collect_reduce");
  if (on_ours()) CHECK(reduce != NULL);
  if (reduce == NULL) return;
  enum { COUNT = 500 };
  static void* blocks[COUNT];
  for (int i = 0; i < COUNT; i++) blocks[i] = mi_malloc(5000);
  for (int i = 0; i < COUNT; i++) memset(blocks[i], i & 0xff, 5000);
  reduce((size_t)1 << 40);
  reduce(65536);
  reduce(0);
  bool intact = true;
  for (int i = 0; i < COUNT; i++) intact &= all_bytes(blocks[i], i & 0xff, 5000);
  CHECK(intact);
  for (int i = 0; i < COUNT; i++) mi_free(blocks[i]);
  CHECK(holds(blocks[0] = mi_malloc(5000), 1, 5000));
  mi_free(blocks[0]);
}

static void test_init_again(void) {
  void* p = mi_malloc(100);
  memset(p, 3, 100);
  mi_process_init();
  mi_thread_init();
  CHECK(all_bytes(p, 3, 100));
  mi_free(p);
}

/* A thread that ends by hand and allocates afterwards; its block lives on. */
static void* end_early(void* arg) {
  (void)arg;
  mi_thread_init();
  void* keep = mi_malloc(64);
  memset(keep, 4, 64);
  mi_thread_done();
  void* later = mi_malloc(64);
  CHECK(holds(later, 5, 64));
  mi_free(later);
  mi_thread_done();
  return keep;
}

static void* in_pool(void* arg) {
  mi_thread_set_in_threadpool();
  void* p = mi_malloc(128);
  CHECK(holds(p, 6, 128));
  return (void)arg, p;
}

static void test_threads(void) {
  pthread_t thread;
  void* keep = NULL;
  pthread_create(&thread, NULL, &end_early, NULL);
  pthread_join(thread, &keep);
  CHECK(keep != NULL && all_bytes(keep, 4, 64));
  mi_free(keep);
  pthread_create(&thread, NULL, &in_pool, NULL);
  pthread_join(thread, &keep);
  CHECK(keep != NULL && all_bytes(keep, 6, 128));
  mi_free(keep);
}

/* Allocation after mi_process_done works (destructors of the program may need it). */
static void test_done(void) {
  void* before = mi_malloc(100);
  memset(before, 8, 100);
  mi_process_done();
  void* after = mi_malloc(100);
  CHECK(all_bytes(before, 8, 100));
  CHECK(holds(after, 9, 100));
  mi_free(before);
  mi_free(after);
}

int main(void) {
  test_deferred_free();
  test_output();
  test_errors();
  test_version();
  test_process_info();
  test_process_info_text();
  test_collect();
  test_collect_reduce();
  test_init_again();
  test_threads();
  test_done();
  return check_report();
}
