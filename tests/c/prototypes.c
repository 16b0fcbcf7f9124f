/* The 190 functions of the interface, declared once more: a header whose declaration differs does not
 * compile with this. xtask reads the names from here to look for them in the library. */
#include <mimalloc.h>
#include <mimalloc-stats.h>

#ifdef __cplusplus
#error "this test is C: C++ tells declarations apart by noexcept"
#endif


/* Basic allocation (17) */
void* mi_malloc(size_t size);
void* mi_calloc(size_t count, size_t size);
void* mi_realloc(void* p, size_t newsize);
void* mi_expand(void* p, size_t newsize);
void mi_free(void* p);
char* mi_strdup(const char* s);
char* mi_strndup(const char* s, size_t n);
char* mi_realpath(const char* fname, char* resolved_name);
void* mi_malloc_small(size_t size);
void* mi_zalloc_small(size_t size);
void* mi_zalloc(size_t size);
void* mi_mallocn(size_t count, size_t size);
void* mi_reallocn(void* p, size_t count, size_t size);
void* mi_reallocf(void* p, size_t newsize);
size_t mi_usable_size(const void* p);
size_t mi_good_size(size_t size);
void mi_free_small(void* p);

/* Process, thread, hooks, maintenance (14) */
void mi_register_deferred_free(mi_deferred_free_fun* deferred_free, void* arg);
void mi_register_output(mi_output_fun* out, void* arg);
void mi_register_error(mi_error_fun* fun, void* arg);
void mi_collect(bool force);
int mi_version(void);
void mi_process_info_print(void);
void mi_process_info_print_out(mi_output_fun* out, void* arg);
void mi_process_info(size_t* elapsed_msecs, size_t* user_msecs, size_t* system_msecs, size_t* current_rss, size_t* peak_rss, size_t* current_commit, size_t* peak_commit, size_t* page_faults);
void mi_process_init(void);
void mi_process_done(void);
void mi_thread_init(void);
void mi_thread_done(void);
void mi_thread_set_in_threadpool(void);
void mi_collect_reduce(size_t target_thread_owned);

/* Aligned allocation (alignment follows size; *_at aligns ptr+offset) (8) */
void* mi_malloc_aligned(size_t size, size_t alignment);
void* mi_malloc_aligned_at(size_t size, size_t alignment, size_t offset);
void* mi_zalloc_aligned(size_t size, size_t alignment);
void* mi_zalloc_aligned_at(size_t size, size_t alignment, size_t offset);
void* mi_calloc_aligned(size_t count, size_t size, size_t alignment);
void* mi_calloc_aligned_at(size_t count, size_t size, size_t alignment, size_t offset);
void* mi_realloc_aligned(void* p, size_t newsize, size_t alignment);
void* mi_realloc_aligned_at(void* p, size_t newsize, size_t alignment, size_t offset);

/* Allocation that returns the block size (8) */
void* mi_umalloc(size_t size, size_t* block_size);
void* mi_ucalloc(size_t count, size_t size, size_t* block_size);
void* mi_urealloc(void* p, size_t newsize, size_t* block_size_pre, size_t* block_size_post);
void mi_ufree(void* p, size_t* block_size);
void* mi_umalloc_aligned(size_t size, size_t alignment, size_t* block_size);
void* mi_uzalloc_aligned(size_t size, size_t alignment, size_t* block_size);
void* mi_umalloc_small(size_t size, size_t* block_size);
void* mi_uzalloc_small(size_t size, size_t* block_size);

/* First-class heaps (any thread may allocate) (26) */
mi_heap_t* mi_heap_new(void);
void mi_heap_delete(mi_heap_t* heap);
void mi_heap_destroy(mi_heap_t* heap);
void mi_heap_set_numa_affinity(mi_heap_t* heap, int numa_node);
void mi_heap_collect(mi_heap_t* heap, bool force);
mi_heap_t* mi_heap_main(void);
void* mi_heap_malloc(mi_heap_t* theap, size_t size);
void* mi_heap_zalloc(mi_heap_t* heap, size_t size);
void* mi_heap_calloc(mi_heap_t* heap, size_t count, size_t size);
void* mi_heap_mallocn(mi_heap_t* heap, size_t count, size_t size);
void* mi_heap_malloc_small(mi_heap_t* heap, size_t size);
void* mi_heap_zalloc_small(mi_heap_t* heap, size_t size);
void* mi_heap_realloc(mi_heap_t* heap, void* p, size_t newsize);
void* mi_heap_reallocn(mi_heap_t* heap, void* p, size_t count, size_t size);
void* mi_heap_reallocf(mi_heap_t* theap, void* p, size_t newsize);
char* mi_heap_strdup(mi_heap_t* heap, const char* s);
char* mi_heap_strndup(mi_heap_t* heap, const char* s, size_t n);
char* mi_heap_realpath(mi_heap_t* heap, const char* fname, char* resolved_name);
void* mi_heap_malloc_aligned(mi_heap_t* heap, size_t size, size_t alignment);
void* mi_heap_malloc_aligned_at(mi_heap_t* heap, size_t size, size_t alignment, size_t offset);
void* mi_heap_zalloc_aligned(mi_heap_t* heap, size_t size, size_t alignment);
void* mi_heap_zalloc_aligned_at(mi_heap_t* heap, size_t size, size_t alignment, size_t offset);
void* mi_heap_calloc_aligned(mi_heap_t* heap, size_t count, size_t size, size_t alignment);
void* mi_heap_calloc_aligned_at(mi_heap_t* heap, size_t count, size_t size, size_t alignment, size_t offset);
void* mi_heap_realloc_aligned(mi_heap_t* heap, void* p, size_t newsize, size_t alignment);
void* mi_heap_realloc_aligned_at(mi_heap_t* heap, void* p, size_t newsize, size_t alignment, size_t offset);

/* Zero-initialised reallocation (12) */
void* mi_rezalloc(void* p, size_t newsize);
void* mi_recalloc(void* p, size_t newcount, size_t size);
void* mi_rezalloc_aligned(void* p, size_t newsize, size_t alignment);
void* mi_rezalloc_aligned_at(void* p, size_t newsize, size_t alignment, size_t offset);
void* mi_recalloc_aligned(void* p, size_t newcount, size_t size, size_t alignment);
void* mi_recalloc_aligned_at(void* p, size_t newcount, size_t size, size_t alignment, size_t offset);
void* mi_heap_rezalloc(mi_heap_t* heap, void* p, size_t newsize);
void* mi_heap_recalloc(mi_heap_t* heap, void* p, size_t newcount, size_t size);
void* mi_heap_rezalloc_aligned(mi_heap_t* heap, void* p, size_t newsize, size_t alignment);
void* mi_heap_rezalloc_aligned_at(mi_heap_t* heap, void* p, size_t newsize, size_t alignment, size_t offset);
void* mi_heap_recalloc_aligned(mi_heap_t* heap, void* p, size_t newcount, size_t size, size_t alignment);
void* mi_heap_recalloc_aligned_at(mi_heap_t* heap, void* p, size_t newcount, size_t size, size_t alignment, size_t offset);

/* POSIX, Unix and Windows named variants (21) */
#if MI_MALLOC_VERSION < 30500
void mi_cfree(void* p);
#else
bool mi_cfree(void* p);
#endif
void* mi__expand(void* p, size_t newsize);
size_t mi_malloc_size(const void* p);
size_t mi_malloc_good_size(size_t size);
size_t mi_malloc_usable_size(const void *p);
int mi_posix_memalign(void** p, size_t alignment, size_t size);
void* mi_memalign(size_t alignment, size_t size);
void* mi_valloc(size_t size);
void* mi_pvalloc(size_t size);
void* mi_aligned_alloc(size_t alignment, size_t size);
void* mi_reallocarray(void* p, size_t count, size_t size);
int mi_reallocarr(void* ptrp, size_t count, size_t size);
void* mi_aligned_recalloc(void* p, size_t newcount, size_t size, size_t alignment);
void* mi_aligned_offset_recalloc(void* p, size_t newcount, size_t size, size_t alignment, size_t offset);
void mi_free_size(void* p, size_t size);
void mi_free_size_aligned(void* p, size_t size, size_t alignment);
void mi_free_aligned(void* p, size_t alignment);
int mi_dupenv_s(char** buf, size_t* size, const char* name);
int mi_wdupenv_s(wchar_t** buf, size_t* size, const wchar_t* name);
wchar_t* mi_wcsdup(const wchar_t* s);
unsigned char* mi_mbsdup(const unsigned char* s);

/* C++ operators' support (out of memory calls the new-handler, then throws or returns null) (9) */
void* mi_new(size_t size);
void* mi_new_aligned(size_t size, size_t alignment);
void* mi_new_nothrow(size_t size);
void* mi_new_aligned_nothrow(size_t size, size_t alignment);
void* mi_new_n(size_t count, size_t size);
void* mi_new_realloc(void* p, size_t newsize);
void* mi_new_reallocn(void* p, size_t newcount, size_t size);
void* mi_heap_alloc_new(mi_heap_t* heap, size_t size);
void* mi_heap_alloc_new_n(mi_heap_t* heap, size_t count, size_t size);

/* Visiting and ownership queries (7) */
mi_heap_t* mi_heap_of(const void* p);
bool mi_heap_contains(const mi_heap_t* heap, const void* p);
bool mi_any_heap_contains(const void* p);
bool mi_heap_visit_blocks(mi_heap_t* heap, bool visit_blocks, mi_block_visit_fun* visitor, void* arg);
bool mi_heap_visit_abandoned_blocks(mi_heap_t* heap, bool visit_blocks, mi_block_visit_fun* visitor, void* arg);
bool mi_check_owned(const void* p);
bool mi_is_in_heap_region(const void* p);

/* Arenas and OS memory (16) */
bool mi_is_redirected(void);
int mi_reserve_huge_os_pages_interleave(size_t pages, size_t numa_nodes, size_t timeout_msecs);
int mi_reserve_huge_os_pages_at(size_t pages, int numa_node, size_t timeout_msecs);
int mi_reserve_os_memory(size_t size, bool commit, bool allow_large);
bool mi_manage_os_memory(void* start, size_t size, bool is_committed, bool is_pinned , bool is_zero, int numa_node);
void mi_debug_show_arenas(void);
void mi_arenas_print(void);
size_t mi_arena_min_alignment(void);
size_t mi_arena_min_size(void);
void* mi_arena_area(mi_arena_id_t arena_id, size_t* size);
int mi_reserve_huge_os_pages_at_ex(size_t pages, int numa_node, size_t timeout_msecs, bool exclusive, mi_arena_id_t* arena_id);
int mi_reserve_os_memory_ex(size_t size, bool commit, bool allow_large, bool exclusive, mi_arena_id_t* arena_id);
bool mi_manage_os_memory_ex(void* start, size_t size, bool is_committed, bool is_pinned, bool is_zero, int numa_node, bool exclusive, mi_arena_id_t* arena_id);
bool mi_arena_contains(mi_arena_id_t arena_id, const void* p);
mi_heap_t* mi_heap_new_in_arena(mi_arena_id_t arena_id);
int mi_reserve_huge_os_pages(size_t pages, double max_secs, size_t* pages_reserved);

/* Guarded objects, user memory with commit callback, under-utilisation (2) */
bool mi_manage_memory(void* start, size_t size, bool is_committed, bool is_pinned, bool is_zero, int numa_node, bool exclusive, mi_commit_fun_t* commit_fun, void* commit_fun_arg, mi_arena_id_t* arena_id);
bool mi_unsafe_heap_page_is_under_utilized(mi_heap_t* heap, void* p, size_t perc_threshold);

/* Thread-local heaps (theaps) (14) */
mi_theap_t* mi_heap_theap(mi_heap_t* heap);
mi_theap_t* mi_theap_set_default(mi_theap_t* theap);
mi_theap_t* mi_theap_get_default(void);
void mi_theap_collect(mi_theap_t* theap, bool force);
void* mi_theap_malloc(mi_theap_t* theap, size_t size);
void* mi_theap_zalloc(mi_theap_t* theap, size_t size);
void* mi_theap_calloc(mi_theap_t* theap, size_t count, size_t size);
void* mi_theap_malloc_small(mi_theap_t* theap, size_t size);
void* mi_theap_zalloc_small(mi_theap_t* theap, size_t size);
void* mi_theap_malloc_aligned(mi_theap_t* theap, size_t size, size_t alignment);
void* mi_theap_realloc(mi_theap_t* theap, void* p, size_t newsize);
void mi_theap_guarded_set_sample_rate(mi_theap_t* theap, size_t sample_rate, size_t seed);
void mi_theap_guarded_set_size_bound(mi_theap_t* theap, size_t min, size_t max);
bool mi_theap_visit_blocks(const mi_theap_t* theap, bool visit_blocks, mi_block_visit_fun* visitor, void* arg);

/* Sub-processes (6) */
mi_subproc_id_t mi_subproc_main(void);
mi_subproc_id_t mi_subproc_current(void);
mi_subproc_id_t mi_subproc_new(void);
void mi_subproc_destroy(mi_subproc_id_t subproc);
void mi_subproc_add_current_thread(mi_subproc_id_t subproc);
bool mi_subproc_visit_heaps(mi_subproc_id_t subproc, mi_heap_visit_fun* visitor, void* arg);

/* Options (12) */
void mi_options_print(void);
void mi_options_print_out(mi_output_fun* out, void* arg);
bool mi_option_is_enabled(mi_option_t option);
void mi_option_enable(mi_option_t option);
void mi_option_disable(mi_option_t option);
void mi_option_set_enabled(mi_option_t option, bool enable);
void mi_option_set_enabled_default(mi_option_t option, bool enable);
long mi_option_get(mi_option_t option);
long mi_option_get_clamp(mi_option_t option, long min, long max);
size_t mi_option_get_size(mi_option_t option);
void mi_option_set(mi_option_t option, long value);
void mi_option_set_default(mi_option_t option, long value);

/* Statistics (18) */
void mi_thread_stats_print_out(mi_output_fun* out, void* arg);
void mi_stats_reset(void);
void mi_stats_merge(void);
void mi_stats_print(void* out);
void mi_stats_print_out(mi_output_fun* out, void* arg);
bool mi_heap_stats_get(mi_heap_t* heap, mi_stats_t* stats);
char* mi_heap_stats_get_json(mi_heap_t* heap, size_t buf_size, char* buf);
void mi_heap_stats_print_out(mi_heap_t* heap, mi_output_fun* out, void* arg);
bool mi_subproc_stats_get(mi_subproc_id_t subproc_id, mi_stats_t* stats);
char* mi_subproc_stats_get_json(mi_subproc_id_t subproc_id, size_t buf_size, char* buf);
void mi_subproc_stats_print_out(mi_subproc_id_t subproc_id, mi_output_fun* out, void* arg);
void mi_subproc_heap_stats_print_out(mi_subproc_id_t subproc_id, mi_output_fun* out, void* arg);
bool mi_stats_get(mi_stats_t* stats);
char* mi_stats_get_json(size_t buf_size, char* buf);
void mi_heap_stats_merge_to_subproc(mi_heap_t* heap);
bool mi_subproc_stats_get_exclusive(mi_subproc_id_t subproc_id, mi_stats_t* stats);
char* mi_stats_as_json(mi_stats_t* stats, size_t buf_size, char* buf);
size_t mi_stats_get_bin_size(size_t bin);

int main(void) { return 0; }
