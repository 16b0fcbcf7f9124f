/* Input that is wrong: nothing crashes, the result is sane, and the library says what was wrong. */
#include "child.h"
#include <mimalloc-stats.h>
#include <sys/mman.h>
#include <pthread.h>

static mi_heap_t* const NO_HEAP = NULL;
static mi_subproc_id_t no_subproc(void) { return (mi_subproc_id_t){NULL}; }

static bool any_block(const mi_heap_t* heap, const mi_heap_area_t* area, void* block, size_t size, void* arg) {
  return (void)heap, (void)area, (void)block, (void)size, (void)arg, true;
}
static bool any_heap(mi_heap_t* heap, void* arg) { return (void)arg, heap != NULL; }

/* -- a null heap means the main one -- */

static void check_main(void* p) {
  CHECK(p != NULL && mi_heap_of(p) == mi_heap_main());
  mi_free(p);
}

static void test_null_heap_allocates(void) {
  check_main(mi_heap_malloc(NO_HEAP, 10));
  check_main(mi_heap_zalloc(NO_HEAP, 10));
  check_main(mi_heap_calloc(NO_HEAP, 10, 10));
  check_main(mi_heap_mallocn(NO_HEAP, 10, 10));
  check_main(mi_heap_malloc_small(NO_HEAP, 10));
  check_main(mi_heap_zalloc_small(NO_HEAP, 10));
  check_main(mi_heap_realloc(NO_HEAP, NULL, 10));
  check_main(mi_heap_reallocn(NO_HEAP, NULL, 10, 10));
  check_main(mi_heap_reallocf(NO_HEAP, NULL, 10));
  check_main(mi_heap_strdup(NO_HEAP, "text"));
  check_main(mi_heap_strndup(NO_HEAP, "text", 2));
  check_main(mi_heap_realpath(NO_HEAP, "/", NULL));
  check_main(mi_heap_malloc_aligned(NO_HEAP, 10, 64));
  check_main(mi_heap_malloc_aligned_at(NO_HEAP, 10, 64, 8));
  check_main(mi_heap_rezalloc(NO_HEAP, NULL, 10));
  check_main(mi_heap_recalloc(NO_HEAP, NULL, 10, 10));
  check_main(mi_heap_alloc_new(NO_HEAP, 10));
  check_main(mi_heap_alloc_new_n(NO_HEAP, 10, 10));
}

static void test_null_heap(void) {
  void* p = mi_malloc(10);
  mi_heap_delete(NO_HEAP);
  mi_heap_destroy(NO_HEAP);
  mi_heap_collect(NO_HEAP, true);
  mi_heap_set_numa_affinity(NO_HEAP, 0);
  CHECK(mi_heap_contains(NO_HEAP, p));
  CHECK(!mi_heap_contains(NO_HEAP, NULL));
  CHECK(mi_heap_visit_blocks(NO_HEAP, true, &any_block, NULL));
  CHECK(mi_heap_visit_abandoned_blocks(NO_HEAP, true, &any_block, NULL));
  if (on_ours()) CHECK(mi_heap_theap(NO_HEAP) == mi_heap_theap(mi_heap_main())); /* the reference's first answer differs */
  CHECK(!mi_unsafe_heap_page_is_under_utilized(NO_HEAP, NULL, 50));
  mi_stats_t_decl(stats);
  CHECK(!mi_heap_stats_get(NO_HEAP, &stats));
  CHECK(!mi_heap_stats_get(mi_heap_main(), NULL));
  CHECK(mi_heap_stats_get_json(NO_HEAP, 0, NULL) == NULL);
  mi_heap_stats_merge_to_subproc(NO_HEAP);
  static text_t text;
  mi_heap_stats_print_out(NO_HEAP, &add_text, &text);
  mi_free(p);
}

static void test_null_theap(void) {
  mi_theap_t* before = mi_theap_get_default();
  CHECK(mi_theap_set_default(NULL) == before); /* changes nothing */
  CHECK(mi_theap_get_default() == before);
  mi_theap_collect(NULL, true);
  CHECK(!mi_theap_visit_blocks(NULL, true, &any_block, NULL));
  mi_theap_guarded_set_sample_rate(NULL, 1, 1);
  mi_theap_guarded_set_size_bound(NULL, 1, 100);
  if (!on_ours()) return; /* the reference crashes */
  check_main(mi_theap_malloc(NULL, 10));
  check_main(mi_theap_zalloc(NULL, 10));
  check_main(mi_theap_calloc(NULL, 10, 10));
  check_main(mi_theap_malloc_small(NULL, 10));
  check_main(mi_theap_zalloc_small(NULL, 10));
  check_main(mi_theap_malloc_aligned(NULL, 10, 64));
  check_main(mi_theap_realloc(NULL, NULL, 10));
}

/* -- the main heap can't be ended: it says so and goes on -- */

static void end_main_by(void (*end)(mi_heap_t*)) {
  static text_t text;
  memset(&text, 0, sizeof text);
  mi_option_enable(mi_option_show_errors);
  mi_register_output(&add_text, &text);
  char* p = (char*)mi_malloc(1000);
  memset(p, 1, 1000);
  end(mi_heap_main());
  mi_register_output(NULL, NULL);
  mi_option_disable(mi_option_show_errors);
  CHECK(says(&text, "main heap"));
  CHECK(all_bytes(p, 1, 1000) && mi_heap_contains(mi_heap_main(), p));
  p = (char*)mi_realloc(p, 100000);
  CHECK(p != NULL && all_bytes(p, 1, 1000));
  mi_free(p);
}

static void test_end_main(void) {
  end_main_by(&mi_heap_delete);
  end_main_by(&mi_heap_destroy);
}

/* -- foreign addresses -- */

static int in_data = 7;

static void check_foreign(void* p) {
  CHECK(mi_heap_of(p) == NULL);
  CHECK(!mi_any_heap_contains(p));
  CHECK(!mi_heap_contains(mi_heap_main(), p));
  CHECK(!mi_heap_contains(NO_HEAP, p));
  CHECK(!mi_check_owned(p));
  CHECK(!mi_is_in_heap_region(p));
  CHECK(!mi_unsafe_heap_page_is_under_utilized(mi_heap_main(), p, 50));
  CHECK(!mi_arena_contains(NULL, p));
}

/* The sizes and frees of addresses that could be a program's. */
static void check_foreign_block(void* p) {
  CHECK(mi_usable_size(p) == 0);
  CHECK(mi_malloc_size(p) == 0);
  CHECK(mi_malloc_usable_size(p) == 0);
  CHECK(mi_expand(p, 4) == NULL);
  mi_cfree(p);
  mi_free(p); /* not ours: left alone */
}

static void test_foreign(void) {
  int on_stack = 8;
  char* mapped = (char*)mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void* addresses[] = {NULL, &on_stack, &in_data, mapped, mapped + 16, mapped + 65536, (void*)&test_foreign, (void*)(uintptr_t)16,
                       (void*)(uintptr_t)4096};
  for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
    check_foreign(addresses[i]);
    check_foreign_block(addresses[i]);
  }
  CHECK(on_stack == 8 && in_data == 7);
  CHECK(all_bytes(mapped, 0, 1 << 20));
  munmap(mapped, 1 << 20);
  check_foreign(mapped); /* no memory there any more */
  check_foreign((void*)(UINTPTR_MAX - 15));
  if (on_ours()) check_foreign_block((void*)(UINTPTR_MAX - 15)); /* the reference crashes */
  if (on_ours()) check_foreign_block((void*)(uintptr_t)0x123456789ABC0000);
}

static void part_report_foreign(void) {
  int on_stack = 8;
  mi_free(&on_stack);
  mi_free((char*)mi_malloc(100) + 1);
}

static void test_report_foreign(void) {
  const outcome_t* child = run_child("report_foreign", "MIMALLOC_SHOW_ERRORS=1");
  CHECK(child->signal == 0);
  if (on_ours()) CHECK(strstr(child->out.text, "error") != NULL || strstr(child->out.text, "warning") != NULL);
}

static void test_error_hook(void) {
  if (!on_ours()) return; /* the reference's release build checks nothing */
  reports_t seen = NO_REPORTS;
  int on_stack = 8;
  mi_register_error(&count_report, &seen);
  mi_free(&on_stack);
  mi_register_error(NULL, NULL);
  CHECK(seen.invalid == 1);
}

/* -- a heap that is deleted while another thread allocates in it: a bug of the program's; it must be survivable
 *    as long as the other is not in the middle of a call -- */

typedef struct { mi_heap_t* heap; pthread_barrier_t deleted; void* before; } late_t;

static void* allocate_around(void* arg) {
  late_t* late = (late_t*)arg;
  late->before = mi_heap_malloc(late->heap, 100);
  memset(late->before, 5, 100);
  pthread_barrier_wait(&late->deleted); /* allocated */
  pthread_barrier_wait(&late->deleted); /* deleted */
  void* p = mi_malloc(100);
  CHECK(holds(p, 6, 100));
  mi_free(p);
  return NULL;
}

static void test_delete_beside_thread(void) {
  late_t late = {.heap = mi_heap_new()};
  pthread_t thread;
  pthread_barrier_init(&late.deleted, NULL, 2);
  pthread_create(&thread, NULL, &allocate_around, &late);
  pthread_barrier_wait(&late.deleted);
  mi_heap_delete(late.heap);
  CHECK(all_bytes(late.before, 5, 100));
  CHECK(mi_heap_of(late.before) == mi_heap_main());
  pthread_barrier_wait(&late.deleted);
  pthread_join(thread, NULL);
  CHECK(all_bytes(late.before, 5, 100));
  mi_free(late.before);
}

/* Heaps are deleted while others allocate elsewhere and free blocks of them. The contract allows that, and every block
 * must be whole when it is freed. */
enum { MAILBOXES = 64 };
typedef struct { void* boxes[MAILBOXES]; bool done; long damaged; } post_t;

static void* free_mail(void* arg) {
  post_t* post = (post_t*)arg;
  mi_heap_t* own = mi_heap_new();
  for (unsigned i = 0; !__atomic_load_n(&post->done, __ATOMIC_ACQUIRE); i++) {
    unsigned char* mail = (unsigned char*)__atomic_exchange_n(&post->boxes[i % MAILBOXES], NULL, __ATOMIC_ACQ_REL);
    if (mail != NULL && mail[0] != mail[1]) __atomic_fetch_add(&post->damaged, 1, __ATOMIC_RELAXED);
    mi_free(mail);
    mi_free(mi_malloc(i % 3000));
    mi_free(mi_heap_malloc(own, i % 3000));
  }
  mi_heap_delete(own);
  return NULL;
}

static void send_mail(post_t* post, mi_heap_t* heap, unsigned seed) {
  unsigned char* mail = (unsigned char*)mi_heap_malloc(heap, 2 + seed % 2000);
  mail[0] = mail[1] = (unsigned char)seed;
  mi_free(__atomic_exchange_n(&post->boxes[seed % MAILBOXES], mail, __ATOMIC_ACQ_REL));
}

static void test_delete_beside_busy_threads(void) {
  static post_t post;
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, &free_mail, &post);
  for (unsigned round = 0; round < 300; round++) {
    mi_heap_t* heap = mi_heap_new();
    for (unsigned i = 0; i < 500; i++) send_mail(&post, heap, round * 7 + i);
    mi_heap_delete(heap);
  }
  __atomic_store_n(&post.done, true, __ATOMIC_RELEASE);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < MAILBOXES; i++) mi_free(post.boxes[i]);
  CHECK(post.damaged == 0);
}

/* The default theap's heap goes away: allocation falls back to the main heap. The reference crashes. */
static void test_delete_default(void) {
  if (!on_ours()) return;
  for (int destroy = 0; destroy < 2; destroy++) {
    mi_heap_t* heap = mi_heap_new();
    mi_theap_t* before = mi_theap_set_default(mi_heap_theap(heap));
    CHECK(mi_malloc(10) != NULL);
    (destroy ? mi_heap_destroy : mi_heap_delete)(heap);
    void* p = mi_malloc(100);
    CHECK(holds(p, 1, 100) && mi_heap_of(p) == mi_heap_main());
    mi_theap_set_default(before);
    mi_free(p);
  }
}

/* -- arenas, sub-processes -- */

static void test_arenas(void) {
  mi_arena_id_t arena = &arena;
  char* memory = (char*)mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  static text_t text;
  mi_option_enable(mi_option_show_errors);
  mi_register_output(&add_text, &text);
  CHECK(!mi_manage_os_memory_ex(memory, 1 << 20, true, false, true, -1, true, &arena));
  mi_register_output(NULL, NULL);
  mi_option_disable(mi_option_show_errors);
  CHECK(says(&text, "large enough") || says(&text, "too small"));
  CHECK(arena == NULL);
  CHECK(!mi_manage_os_memory(NULL, (size_t)1 << 30, true, false, true, -1));
  CHECK(mi_reserve_os_memory(opaque(SIZE_MAX), true, true) != 0);
  CHECK(mi_reserve_os_memory(0, true, true) != 0);
  size_t size = 1;
  CHECK(mi_arena_area(NULL, &size) == NULL && size == 0);
  munmap(memory, 1 << 20);
}

static void test_subprocs(void) {
  mi_subproc_destroy(no_subproc());
  CHECK(!mi_subproc_visit_heaps(no_subproc(), &any_heap, NULL));
  mi_stats_t_decl(stats);
  CHECK(!mi_subproc_stats_get(no_subproc(), &stats));
  CHECK(!mi_subproc_stats_get_exclusive(no_subproc(), &stats));
  CHECK(mi_subproc_stats_get_json(no_subproc(), 0, NULL) == NULL);
  static text_t text;
  mi_subproc_stats_print_out(no_subproc(), &add_text, &text);
  mi_subproc_heap_stats_print_out(no_subproc(), &add_text, &text);
  CHECK(text.length == 0);
  CHECK(mi_malloc(10) != NULL);
  if (!on_ours()) return; /* the reference crashes */
  mi_subproc_add_current_thread(no_subproc());
  CHECK(mi_subproc_current()._mi_subproc_id == mi_subproc_main()._mi_subproc_id);
  CHECK(!mi_subproc_visit_heaps(mi_subproc_main(), NULL, NULL));
}

/* -- corruption: found in the checked modes of ours -- */

static void part_double_free(void) {
  reports_t seen = NO_REPORTS;
  mi_register_error(&count_report, &seen);
  void* p = mi_malloc(100);
  void* volatile again = p;
  mi_free(p);
  mi_free(again);
  tell("double_free", seen.double_free);
}

static void part_overflow(void) {
  reports_t seen = NO_REPORTS;
  mi_register_error(&count_report, &seen);
  char* p = (char*)mi_malloc(100);
  volatile char* behind = p + mi_usable_size(p);
  *behind = (char)(*behind + 1);
  mi_free(p);
  tell("corrupt", seen.corrupt);
}

static void test_secure(void) {
  if (!on_ours()) return;
  CHECK(told(run_child("double_free", "MIMALLOC_SECURE=4"), "double_free") == 1);
  CHECK(told(run_child("overflow", "MIMALLOC_SECURE=4"), "corrupt") == 1);
}

static const part_t PARTS[] = {
  {"report_foreign", &part_report_foreign}, {"double_free", &part_double_free}, {"overflow", &part_overflow}, {NULL, NULL},
};

int main(int argc, char** argv) {
  child_main(argc, argv, PARTS);
  test_null_heap_allocates();
  test_null_heap();
  test_null_theap();
  test_end_main();
  test_foreign();
  test_report_foreign();
  test_error_hook();
  test_delete_beside_thread();
  test_delete_beside_busy_threads();
  test_delete_default();
  test_arenas();
  test_subprocs();
  test_secure();
  return check_report();
}
