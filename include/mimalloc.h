/* mimalloc.h: the C and C++ interface of ferrimalloc.
 *
 * Names, parameters and numbers are those of mimalloc 3.6.2 (and of 3.4.3), so that a program
 * written for either library compiles against this header and runs on both.
 * The declarations, comments and C++ classes here are ferrimalloc's own.
 *
 * What holds for every function below unless it says otherwise:
 *   - it may be called from any thread, at any time, also before `main`;
 *   - sizes and offsets are in bytes, alignments are powers of two;
 *   - failure to get memory is a null result, with `errno` set to ENOMEM;
 *   - a block of more than 8 bytes is aligned to 16, a smaller one to 8;
 *   - any block, however it was allocated, may be given to `mi_free`.
 */
#ifndef MIMALLOC_H
#define MIMALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* The interface version: major * 10000 + minor * 100 + patch. */
#define MI_MALLOC_VERSION 30602

/* Requests up to this size (in words, in bytes) may use the *_small functions. */
#define MI_SMALL_WSIZE_MAX (128)
#define MI_SMALL_SIZE_MAX  (MI_SMALL_WSIZE_MAX * sizeof(size_t))

/* -- What the compiler may know about a function --------------------------
 * FM_NOTHROW       does not throw
 * FM_RESULT        ignoring the result is a mistake
 * FM_FRESH         FM_RESULT, and the result aliases nothing
 * FM_SIZE(i)       the result has as many bytes as argument i says
 * FM_SIZE2(i, j)   ... as the product of arguments i and j says
 * FM_ALIGN(i)      the result is aligned to argument i
 */
#if defined(__cplusplus)
#  define FM_NOTHROW noexcept
#else
#  define FM_NOTHROW
#endif

#if defined(__GNUC__) || defined(__clang__)
#  define FM_RESULT      __attribute__((warn_unused_result))
#  define FM_FRESH       __attribute__((malloc, warn_unused_result))
#  define FM_SIZE(i)     __attribute__((alloc_size(i)))
#  define FM_SIZE2(i, j) __attribute__((alloc_size(i, j)))
#  define FM_ALIGN(i)    __attribute__((alloc_align(i)))
#else
#  define FM_RESULT
#  define FM_FRESH
#  define FM_SIZE(i)
#  define FM_SIZE2(i, j)
#  define FM_ALIGN(i)
#endif

#if defined(_WIN32)
#  define mi_cdecl __cdecl
#else
#  define mi_cdecl
#endif

#if defined(_WIN32) && defined(MI_SHARED_LIB)
#  define FM_API __declspec(dllimport)
#else
#  define FM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================== *
 *  Types                                                                   *
 * ======================================================================== */

/* A heap: its blocks share no page with another heap's. Every thread may allocate in it. */
typedef struct mi_heap_s mi_heap_t;

/* One thread's part of a heap. Only the thread that got it may allocate through it. */
typedef struct mi_theap_s mi_theap_t;

/* A large stretch of memory that pages are cut from. Null names no arena. */
typedef void* mi_arena_id_t;

/* A set of heaps and arenas that shares no memory with another set. */
typedef struct { void* _mi_subproc_id; } mi_subproc_id_t;

/* A run of equally sized blocks, as shown to a visitor. */
typedef struct mi_heap_area_s {
  void*  blocks;          /* address of the first block */
  size_t reserved;        /* bytes of address space */
  size_t committed;       /* bytes that are usable now */
  size_t used;            /* number of blocks handed out */
  size_t block_size;      /* bytes of a block that its user may use */
  size_t full_block_size; /* bytes from one block to the next */
  void*  reserved1;       /* for the library */
} mi_heap_area_t;

/* Called now and then from allocating threads: the place to free what a program has put off.
 * It may allocate and free. `heartbeat` never goes back; `force` asks to free everything. */
typedef void (mi_cdecl mi_deferred_free_fun)(bool force, unsigned long long heartbeat, void* arg);

/* Receives text, a piece at a time. Must not allocate. */
typedef void (mi_cdecl mi_output_fun)(const char* msg, void* arg);

/* Receives EAGAIN (double free), EFAULT (corrupted memory), EINVAL (not a pointer of ours),
 * ENOMEM or EOVERFLOW (count * size, or a size, too large). Must not allocate. */
typedef void (mi_cdecl mi_error_fun)(int err, void* arg);

/* Called once per area with `block` null and, if blocks were asked for, then once per live block.
 * Returning false ends the visit. Must not allocate in or free from the visited heap. */
typedef bool (mi_cdecl mi_block_visit_fun)(const mi_heap_t* heap, const mi_heap_area_t* area,
                                           void* block, size_t block_size, void* arg);

/* Called once per heap. Returning false ends the visit. */
typedef bool (mi_cdecl mi_heap_visit_fun)(mi_heap_t* heap, void* arg);

/* Makes `size` bytes at `start` usable (`commit`) or gives them back. Returns false if it can't.
 * Sets `*is_zero` (where not null) to true if the memory then reads as zero. Must not allocate. */
typedef bool (mi_cdecl mi_commit_fun_t)(bool commit, void* start, size_t size, bool* is_zero, void* user_arg);

/* ======================================================================== *
 *  Allocation                                                              *
 * ======================================================================== */

/* `size` bytes, contents unspecified. A size of 0 gives a block of its own, too. */
FM_API void* mi_malloc(size_t size) FM_NOTHROW FM_FRESH FM_SIZE(1);
/* `size` bytes that read as zero. */
FM_API void* mi_zalloc(size_t size) FM_NOTHROW FM_FRESH FM_SIZE(1);
/* An array that reads as zero; null (EOVERFLOW to the error hook) if count * size overflows. */
FM_API void* mi_calloc(size_t count, size_t size) FM_NOTHROW FM_FRESH FM_SIZE2(1, 2);
/* An array, contents unspecified; checked for overflow. */
FM_API void* mi_mallocn(size_t count, size_t size) FM_NOTHROW FM_FRESH FM_SIZE2(1, 2);
/* For sizes known to be at most MI_SMALL_SIZE_MAX: saves a test. */
FM_API void* mi_malloc_small(size_t size) FM_NOTHROW FM_FRESH FM_SIZE(1);
FM_API void* mi_zalloc_small(size_t size) FM_NOTHROW FM_FRESH FM_SIZE(1);

/* Moves the block `p` (null: none) to one of `newsize` bytes, in place where it can.
 * On failure the result is null and `p` stays as it was. */
FM_API void* mi_realloc(void* p, size_t newsize) FM_NOTHROW FM_RESULT FM_SIZE(2);
FM_API void* mi_reallocn(void* p, size_t count, size_t size) FM_NOTHROW FM_RESULT FM_SIZE2(2, 3);
/* As mi_realloc, but frees `p` on failure. */
FM_API void* mi_reallocf(void* p, size_t newsize) FM_NOTHROW FM_RESULT FM_SIZE(2);
/* `p` if its block can hold `newsize` bytes where it is, else null. Never moves. A big block that needs
 * much less gives the rest back. */
FM_API void* mi_expand(void* p, size_t newsize) FM_NOTHROW FM_SIZE(2);

/* Gives a block back. Null is fine. */
FM_API void mi_free(void* p) FM_NOTHROW;
/* For blocks of at most MI_SMALL_SIZE_MAX that a *_small function gave; `nonnull`: `p` is not null; `local`: the calling
 * thread allocated it. From level 3 on (docs/SECURITY.md) larger blocks are refused. */
FM_API void mi_free_small(void* p) FM_NOTHROW;
FM_API void mi_free_small_nonnull(void* p) FM_NOTHROW;
FM_API void mi_free_small_local(void* p) FM_NOTHROW;
FM_API void mi_free_small_local_nonnull(void* p) FM_NOTHROW;

/* Copies of a string (of at most `n` bytes of it). Null for null. */
FM_API char* mi_strdup(const char* s) FM_NOTHROW FM_FRESH;
FM_API char* mi_strndup(const char* s, size_t n) FM_NOTHROW FM_FRESH;
/* realpath(3); where `resolved_name` is null the result is a block for mi_free. */
FM_API char* mi_realpath(const char* fname, char* resolved_name) FM_NOTHROW FM_RESULT;

/* The bytes that the block `p` really has: at least what was asked for. 0 for null. */
FM_API size_t mi_usable_size(const void* p) FM_NOTHROW FM_RESULT;
/* The bytes from `p`, which may lie inside of a block, to the end of the block. 0 in memory of this library where no block is
 * in use, as far as that is known; SIZE_MAX where the memory is not this library's. Any address; also in signal handlers. */
FM_API size_t mi_remaining_size(const void* p) FM_NOTHROW FM_RESULT;
/* The bytes that a block for `size` would really have. */
FM_API size_t mi_good_size(size_t size) FM_NOTHROW FM_RESULT;

/* -- Aligned: the result, or with `_at` the address result + offset, is a multiple of `alignment`.
 *    Null if `alignment` is not a power of two. */
FM_API void* mi_malloc_aligned(size_t size, size_t alignment) FM_NOTHROW FM_FRESH FM_SIZE(1) FM_ALIGN(2);
FM_API void* mi_malloc_aligned_at(size_t size, size_t alignment, size_t offset) FM_NOTHROW FM_FRESH FM_SIZE(1);
FM_API void* mi_zalloc_aligned(size_t size, size_t alignment) FM_NOTHROW FM_FRESH FM_SIZE(1) FM_ALIGN(2);
FM_API void* mi_zalloc_aligned_at(size_t size, size_t alignment, size_t offset) FM_NOTHROW FM_FRESH FM_SIZE(1);
FM_API void* mi_calloc_aligned(size_t count, size_t size, size_t alignment) FM_NOTHROW FM_FRESH FM_SIZE2(1, 2) FM_ALIGN(3);
FM_API void* mi_calloc_aligned_at(size_t count, size_t size, size_t alignment, size_t offset) FM_NOTHROW FM_FRESH FM_SIZE2(1, 2);
FM_API void* mi_realloc_aligned(void* p, size_t newsize, size_t alignment) FM_NOTHROW FM_RESULT FM_SIZE(2) FM_ALIGN(3);
FM_API void* mi_realloc_aligned_at(void* p, size_t newsize, size_t alignment, size_t offset) FM_NOTHROW FM_RESULT FM_SIZE(2);

/* -- Zeroed growth: the bytes beyond the old block's size read as zero. The block must have been
 *    allocated zeroed and grown only by these functions. */
FM_API void* mi_rezalloc(void* p, size_t newsize) FM_NOTHROW FM_RESULT FM_SIZE(2);
FM_API void* mi_recalloc(void* p, size_t newcount, size_t size) FM_NOTHROW FM_RESULT FM_SIZE2(2, 3);
FM_API void* mi_rezalloc_aligned(void* p, size_t newsize, size_t alignment) FM_NOTHROW FM_RESULT FM_SIZE(2) FM_ALIGN(3);
FM_API void* mi_rezalloc_aligned_at(void* p, size_t newsize, size_t alignment, size_t offset) FM_NOTHROW FM_RESULT FM_SIZE(2);
FM_API void* mi_recalloc_aligned(void* p, size_t newcount, size_t size, size_t alignment) FM_NOTHROW FM_RESULT FM_SIZE2(2, 3) FM_ALIGN(4);
FM_API void* mi_recalloc_aligned_at(void* p, size_t newcount, size_t size, size_t alignment, size_t offset) FM_NOTHROW FM_RESULT FM_SIZE2(2, 3);

/* -- The same, telling the block's usable size through a pointer that may be null.
 *    mi_urealloc tells it before and after, mi_ufree that of the block it frees. */
FM_API void* mi_umalloc(size_t size, size_t* block_size) FM_NOTHROW FM_FRESH FM_SIZE(1);
FM_API void* mi_ucalloc(size_t count, size_t size, size_t* block_size) FM_NOTHROW FM_FRESH FM_SIZE2(1, 2);
FM_API void* mi_urealloc(void* p, size_t newsize, size_t* block_size_pre, size_t* block_size_post) FM_NOTHROW FM_RESULT FM_SIZE(2);
FM_API void  mi_ufree(void* p, size_t* block_size) FM_NOTHROW;
FM_API void* mi_umalloc_aligned(size_t size, size_t alignment, size_t* block_size) FM_NOTHROW FM_FRESH FM_SIZE(1) FM_ALIGN(2);
FM_API void* mi_uzalloc_aligned(size_t size, size_t alignment, size_t* block_size) FM_NOTHROW FM_FRESH FM_SIZE(1) FM_ALIGN(2);
FM_API void* mi_umalloc_small(size_t size, size_t* block_size) FM_NOTHROW FM_FRESH FM_SIZE(1);
FM_API void* mi_uzalloc_small(size_t size, size_t* block_size) FM_NOTHROW FM_FRESH FM_SIZE(1);

/* -- By type: the type comes first, then the heap, then the old block, then the count. */
#define mi_malloc_tp(tp)                    ((tp*)mi_malloc_csize(sizeof(tp)))
#define mi_zalloc_tp(tp)                    ((tp*)mi_zalloc_csize(sizeof(tp)))
#define mi_calloc_tp(tp, n)                 ((tp*)mi_calloc((n), sizeof(tp)))
#define mi_mallocn_tp(tp, n)                ((tp*)mi_mallocn((n), sizeof(tp)))
#define mi_reallocn_tp(tp, p, n)            ((tp*)mi_reallocn((p), (n), sizeof(tp)))
#define mi_recalloc_tp(tp, p, n)            ((tp*)mi_recalloc((p), (n), sizeof(tp)))
#define mi_free_tp(tp, p)                   (mi_free_csize((p), sizeof(tp)))
#define mi_heap_malloc_tp(tp, heap)         ((tp*)mi_heap_malloc((heap), sizeof(tp)))
#define mi_heap_zalloc_tp(tp, heap)         ((tp*)mi_heap_zalloc((heap), sizeof(tp)))
#define mi_heap_calloc_tp(tp, heap, n)      ((tp*)mi_heap_calloc((heap), (n), sizeof(tp)))
#define mi_heap_mallocn_tp(tp, heap, n)     ((tp*)mi_heap_mallocn((heap), (n), sizeof(tp)))
#define mi_heap_reallocn_tp(tp, heap, p, n) ((tp*)mi_heap_reallocn((heap), (p), (n), sizeof(tp)))
#define mi_heap_recalloc_tp(tp, heap, p, n) ((tp*)mi_heap_recalloc((heap), (p), (n), sizeof(tp)))

/* ======================================================================== *
 *  The names of POSIX, Unix, Windows and C++                               *
 * ======================================================================== */

/* posix_memalign(3): 0, EINVAL (alignment not a power of two times sizeof(void*)) or ENOMEM.
 * `*p` is written on success only. */
FM_API int   mi_posix_memalign(void** p, size_t alignment, size_t size);
FM_API void* mi_memalign(size_t alignment, size_t size) FM_NOTHROW FM_FRESH FM_SIZE(2) FM_ALIGN(1);
FM_API void* mi_aligned_alloc(size_t alignment, size_t size) FM_NOTHROW FM_FRESH FM_SIZE(2) FM_ALIGN(1);
/* Aligned to an OS page; mi_pvalloc also rounds the size up to OS pages. */
FM_API void* mi_valloc(size_t size) FM_NOTHROW FM_FRESH FM_SIZE(1);
FM_API void* mi_pvalloc(size_t size) FM_NOTHROW FM_FRESH FM_SIZE(1);
/* reallocarray(3): checked for overflow. mi_reallocarr takes the address of the pointer,
 * replaces the pointer itself and returns 0 or an error code. */
FM_API void* mi_reallocarray(void* p, size_t count, size_t size) FM_NOTHROW FM_RESULT FM_SIZE2(2, 3);
FM_API int   mi_reallocarr(void* ptrp, size_t count, size_t size) FM_NOTHROW FM_RESULT;
FM_API void* mi_aligned_recalloc(void* p, size_t newcount, size_t size, size_t alignment) FM_NOTHROW FM_RESULT;
FM_API void* mi_aligned_offset_recalloc(void* p, size_t newcount, size_t size, size_t alignment, size_t offset) FM_NOTHROW FM_RESULT;

/* Frees `p` only if it is one of our blocks, else does nothing; tells which. */
FM_API bool mi_cfree(void* p) FM_NOTHROW;
/* Sized frees: `size` and `alignment` must be those of the allocation. They cost what mi_free does; a block of
 * another class is refused from level 2 on (docs/SECURITY.md), and one of another size or alignment from level 3 on. The last two are C23's free_sized and free_aligned_sized. */
FM_API void mi_free_size(void* p, size_t size) FM_NOTHROW;
FM_API void mi_free_aligned(void* p, size_t alignment) FM_NOTHROW;
FM_API void mi_free_size_aligned(void* p, size_t size, size_t alignment) FM_NOTHROW;
FM_API void mi_free_sized(void* p, size_t size) FM_NOTHROW;
FM_API void mi_free_aligned_sized(void* p, size_t alignment, size_t size) FM_NOTHROW;

/* Other systems' names for mi_expand, mi_usable_size and mi_good_size. */
FM_API void*  mi__expand(void* p, size_t newsize) FM_NOTHROW;
FM_API size_t mi_malloc_size(const void* p) FM_NOTHROW FM_RESULT;
FM_API size_t mi_malloc_usable_size(const void* p) FM_NOTHROW FM_RESULT;
FM_API size_t mi_malloc_good_size(size_t size) FM_NOTHROW FM_RESULT;

/* The value of an environment variable as a fresh block, null if there is none; returns 0 or an error code. */
FM_API int mi_dupenv_s(char** buf, size_t* size, const char* name) FM_NOTHROW;
/* Only where the environment has wide characters (Windows): elsewhere EINVAL. */
FM_API int mi_wdupenv_s(wchar_t** buf, size_t* size, const wchar_t* name) FM_NOTHROW;
FM_API wchar_t*       mi_wcsdup(const wchar_t* s) FM_NOTHROW FM_FRESH;
FM_API unsigned char* mi_mbsdup(const unsigned char* s) FM_NOTHROW FM_FRESH;

/* For operators new: when there is no memory they call the C++ new-handler as long as there is one,
 * and then throw std::bad_alloc, or return null (`nothrow`). */
FM_API void* mi_new(size_t size) FM_FRESH FM_SIZE(1);
FM_API void* mi_new_aligned(size_t size, size_t alignment) FM_FRESH FM_SIZE(1) FM_ALIGN(2);
FM_API void* mi_new_nothrow(size_t size) FM_NOTHROW FM_FRESH FM_SIZE(1);
FM_API void* mi_new_aligned_nothrow(size_t size, size_t alignment) FM_NOTHROW FM_FRESH FM_SIZE(1) FM_ALIGN(2);
FM_API void* mi_new_n(size_t count, size_t size) FM_FRESH FM_SIZE2(1, 2);
FM_API void* mi_new_realloc(void* p, size_t newsize) FM_RESULT FM_SIZE(2);
FM_API void* mi_new_reallocn(void* p, size_t newcount, size_t size) FM_RESULT FM_SIZE2(2, 3);
FM_API void* mi_heap_alloc_new(mi_heap_t* heap, size_t size) FM_FRESH FM_SIZE(2);
FM_API void* mi_heap_alloc_new_n(mi_heap_t* heap, size_t count, size_t size) FM_FRESH FM_SIZE2(2, 3);

/* ======================================================================== *
 *  Heaps                                                                   *
 * ======================================================================== */

/* A new heap in the calling thread's sub-process; null if there is no memory. */
FM_API mi_heap_t* mi_heap_new(void) FM_RESULT;
/* Ends a heap; its live blocks go on as blocks of the main heap. No other thread may be using the heap. */
FM_API void mi_heap_delete(mi_heap_t* heap);
/* Ends a heap and frees all its blocks at once. */
FM_API void mi_heap_destroy(mi_heap_t* heap);
/* The heap that mi_malloc uses. It can be neither deleted nor destroyed. */
FM_API mi_heap_t* mi_heap_main(void) FM_RESULT;
/* Gives free memory of the heap back; `force` all of it and now. */
FM_API void mi_heap_collect(mi_heap_t* heap, bool force);
/* Prefer memory of this NUMA node; -1 for none. */
FM_API void mi_heap_set_numa_affinity(mi_heap_t* heap, int numa_node);
/* At debug levels (MIMALLOC_DEBUG): leave the first `preserve` bytes of blocks as they are when the others are filled. */
FM_API void mi_heap_set_debug_fill_preserve(mi_heap_t* heap, size_t preserve);
/* Not in mimalloc: a limit on the memory of the heap's pages, in bytes (whole 64 KiB); 0 for none. What would exceed it is
 * null, with ENOMEM, after all that the thread keeps was given back and mi_register_limit's function has been asked. */
FM_API void mi_heap_set_limit(mi_heap_t* heap, size_t bytes) FM_NOTHROW;
FM_API size_t mi_heap_limit(const mi_heap_t* heap) FM_NOTHROW;
/* What counts against it now. */
FM_API size_t mi_heap_charged(const mi_heap_t* heap) FM_NOTHROW;

/* The heap of the block `p`; null if `p` is not ours. These four accept any address. */
FM_API mi_heap_t* mi_heap_of(const void* p) FM_RESULT;
FM_API bool mi_heap_contains(const mi_heap_t* heap, const void* p) FM_RESULT;
FM_API bool mi_any_heap_contains(const void* p) FM_RESULT;
/* Whether the page of `p` has fewer than `perc_threshold` percent of its blocks in use, so that moving
 * `p` could free it. Only for the thread that owns the block. */
FM_API bool mi_unsafe_heap_page_is_under_utilized(mi_heap_t* heap, void* p, size_t perc_threshold) FM_NOTHROW;

/* Allocation in a heap, each as its namesake above. */
FM_API void* mi_heap_malloc(mi_heap_t* heap, size_t size) FM_NOTHROW FM_FRESH FM_SIZE(2);
FM_API void* mi_heap_zalloc(mi_heap_t* heap, size_t size) FM_NOTHROW FM_FRESH FM_SIZE(2);
FM_API void* mi_heap_calloc(mi_heap_t* heap, size_t count, size_t size) FM_NOTHROW FM_FRESH FM_SIZE2(2, 3);
FM_API void* mi_heap_mallocn(mi_heap_t* heap, size_t count, size_t size) FM_NOTHROW FM_FRESH FM_SIZE2(2, 3);
FM_API void* mi_heap_malloc_small(mi_heap_t* heap, size_t size) FM_NOTHROW FM_FRESH FM_SIZE(2);
FM_API void* mi_heap_zalloc_small(mi_heap_t* heap, size_t size) FM_NOTHROW FM_FRESH FM_SIZE(2);
FM_API void* mi_heap_realloc(mi_heap_t* heap, void* p, size_t newsize) FM_NOTHROW FM_RESULT FM_SIZE(3);
FM_API void* mi_heap_reallocn(mi_heap_t* heap, void* p, size_t count, size_t size) FM_NOTHROW FM_RESULT FM_SIZE2(3, 4);
FM_API void* mi_heap_reallocf(mi_heap_t* heap, void* p, size_t newsize) FM_NOTHROW FM_RESULT FM_SIZE(3);
FM_API char* mi_heap_strdup(mi_heap_t* heap, const char* s) FM_NOTHROW FM_FRESH;
FM_API char* mi_heap_strndup(mi_heap_t* heap, const char* s, size_t n) FM_NOTHROW FM_FRESH;
FM_API char* mi_heap_realpath(mi_heap_t* heap, const char* fname, char* resolved_name) FM_NOTHROW FM_RESULT;
FM_API void* mi_heap_malloc_aligned(mi_heap_t* heap, size_t size, size_t alignment) FM_NOTHROW FM_FRESH FM_SIZE(2) FM_ALIGN(3);
FM_API void* mi_heap_malloc_aligned_at(mi_heap_t* heap, size_t size, size_t alignment, size_t offset) FM_NOTHROW FM_FRESH FM_SIZE(2);
FM_API void* mi_heap_zalloc_aligned(mi_heap_t* heap, size_t size, size_t alignment) FM_NOTHROW FM_FRESH FM_SIZE(2) FM_ALIGN(3);
FM_API void* mi_heap_zalloc_aligned_at(mi_heap_t* heap, size_t size, size_t alignment, size_t offset) FM_NOTHROW FM_FRESH FM_SIZE(2);
FM_API void* mi_heap_calloc_aligned(mi_heap_t* heap, size_t count, size_t size, size_t alignment) FM_NOTHROW FM_FRESH FM_SIZE2(2, 3) FM_ALIGN(4);
FM_API void* mi_heap_calloc_aligned_at(mi_heap_t* heap, size_t count, size_t size, size_t alignment, size_t offset) FM_NOTHROW FM_FRESH FM_SIZE2(2, 3);
FM_API void* mi_heap_realloc_aligned(mi_heap_t* heap, void* p, size_t newsize, size_t alignment) FM_NOTHROW FM_RESULT FM_SIZE(3) FM_ALIGN(4);
FM_API void* mi_heap_realloc_aligned_at(mi_heap_t* heap, void* p, size_t newsize, size_t alignment, size_t offset) FM_NOTHROW FM_RESULT FM_SIZE(3);
FM_API void* mi_heap_rezalloc(mi_heap_t* heap, void* p, size_t newsize) FM_NOTHROW FM_RESULT FM_SIZE(3);
FM_API void* mi_heap_recalloc(mi_heap_t* heap, void* p, size_t newcount, size_t size) FM_NOTHROW FM_RESULT FM_SIZE2(3, 4);
FM_API void* mi_heap_rezalloc_aligned(mi_heap_t* heap, void* p, size_t newsize, size_t alignment) FM_NOTHROW FM_RESULT FM_SIZE(3) FM_ALIGN(4);
FM_API void* mi_heap_rezalloc_aligned_at(mi_heap_t* heap, void* p, size_t newsize, size_t alignment, size_t offset) FM_NOTHROW FM_RESULT FM_SIZE(3);
FM_API void* mi_heap_recalloc_aligned(mi_heap_t* heap, void* p, size_t newcount, size_t size, size_t alignment) FM_NOTHROW FM_RESULT FM_SIZE2(3, 4) FM_ALIGN(5);
FM_API void* mi_heap_recalloc_aligned_at(mi_heap_t* heap, void* p, size_t newcount, size_t size, size_t alignment, size_t offset) FM_NOTHROW FM_RESULT FM_SIZE2(3, 4);

/* Shows a heap's areas, and with `visit_blocks` its live blocks, to `visitor`.
 * True if the visit was not ended early. No other thread may be using the heap meanwhile. */
FM_API bool mi_heap_visit_blocks(mi_heap_t* heap, bool visit_blocks, mi_block_visit_fun* visitor, void* arg);
/* Only the areas that no thread owns. */
FM_API bool mi_heap_visit_abandoned_blocks(mi_heap_t* heap, bool visit_blocks, mi_block_visit_fun* visitor, void* arg);

/* -- One thread's part of a heap: saves the look-up for a runtime that keeps its own thread context. -- */

/* The calling thread's part of `heap`, made if there is none. */
FM_API mi_theap_t* mi_heap_theap(mi_heap_t* heap);
/* What mi_malloc and malloc use in the calling thread. Setting returns the one before. */
FM_API mi_theap_t* mi_theap_set_default(mi_theap_t* theap);
FM_API mi_theap_t* mi_theap_get_default(void);
FM_API void  mi_theap_collect(mi_theap_t* theap, bool force) FM_NOTHROW;
FM_API void* mi_theap_malloc(mi_theap_t* theap, size_t size) FM_NOTHROW FM_FRESH FM_SIZE(2);
FM_API void* mi_theap_zalloc(mi_theap_t* theap, size_t size) FM_NOTHROW FM_FRESH FM_SIZE(2);
FM_API void* mi_theap_calloc(mi_theap_t* theap, size_t count, size_t size) FM_NOTHROW FM_FRESH FM_SIZE2(2, 3);
FM_API void* mi_theap_malloc_small(mi_theap_t* theap, size_t size) FM_NOTHROW FM_FRESH FM_SIZE(2);
FM_API void* mi_theap_zalloc_small(mi_theap_t* theap, size_t size) FM_NOTHROW FM_FRESH FM_SIZE(2);
FM_API void* mi_theap_malloc_aligned(mi_theap_t* theap, size_t size, size_t alignment) FM_NOTHROW FM_FRESH FM_SIZE(2) FM_ALIGN(3);
FM_API void* mi_theap_zalloc_aligned(mi_theap_t* theap, size_t size, size_t alignment) FM_NOTHROW FM_FRESH FM_SIZE(2) FM_ALIGN(3);
FM_API void* mi_theap_realloc(mi_theap_t* theap, void* p, size_t newsize) FM_NOTHROW FM_RESULT FM_SIZE(3);
FM_API void* mi_theap_rezalloc(mi_theap_t* theap, void* p, size_t newsize) FM_NOTHROW FM_RESULT FM_SIZE(3);
FM_API void* mi_theap_realloc_aligned(mi_theap_t* theap, void* p, size_t newsize, size_t alignment) FM_NOTHROW FM_RESULT FM_SIZE(3) FM_ALIGN(4);
FM_API void* mi_theap_rezalloc_aligned(mi_theap_t* theap, void* p, size_t newsize, size_t alignment) FM_NOTHROW FM_RESULT FM_SIZE(3) FM_ALIGN(4);
FM_API void* mi_theap_alloc_new(mi_theap_t* theap, size_t size) FM_FRESH FM_SIZE(2);
FM_API void* mi_theap_alloc_new_n(mi_theap_t* theap, size_t count, size_t size) FM_FRESH FM_SIZE2(2, 3);
FM_API void* mi_theap_alloc_new_nothrow(mi_theap_t* theap, size_t size) FM_NOTHROW FM_FRESH FM_SIZE(2);
/* Ends a theap of the calling thread: others may take its pages; heap and blocks live on. The main theap stays, without pages. */
FM_API void mi_theap_delete(mi_theap_t* theap) FM_NOTHROW;
/* The same, and the theap stays. Also for the theap of a thread that is known to be elsewhere and stays there meanwhile; no
 * heap or theap may end meanwhile. */
FM_API void mi_theap_quiescent_abandon(mi_theap_t* theap) FM_NOTHROW;
/* The thread that the page of `p` belongs to, as the address of its thread pointer; 0 if it has ended, or `p` is not ours. */
FM_API size_t mi_thread_id_of(const void* p) FM_NOTHROW FM_RESULT;
FM_API bool  mi_theap_visit_blocks(const mi_theap_t* theap, bool visit_blocks, mi_block_visit_fun* visitor, void* arg);
/* Put an inaccessible OS page behind one of `sample_rate` blocks (0: none, 1: all); `seed` 0 starts at random. */
FM_API void mi_theap_guarded_set_sample_rate(mi_theap_t* theap, size_t sample_rate, size_t seed);
/* ... of sizes from `min` to `max` only. */
FM_API void mi_theap_guarded_set_size_bound(mi_theap_t* theap, size_t min, size_t max);

/* ======================================================================== *
 *  Arenas: where the memory comes from                                     *
 * ======================================================================== */

/* Reserves `size` bytes of address space as an arena; `commit` makes it usable at once, `allow_large`
 * takes large OS pages if there are any. Returns 0 or an error code. An `exclusive` arena serves only
 * the heaps made in it. `arena_id` (may be null) receives the arena. */
FM_API int mi_reserve_os_memory(size_t size, bool commit, bool allow_large) FM_NOTHROW;
FM_API int mi_reserve_os_memory_ex(size_t size, bool commit, bool allow_large, bool exclusive, mi_arena_id_t* arena_id) FM_NOTHROW;

/* Reserves `pages` huge OS pages of 1 GiB, at a NUMA node (-1: any), or spread over `numa_nodes` nodes
 * (0: all). Stops after `timeout_msecs` (0: no limit). ENOMEM if not one was to be had. */
FM_API int mi_reserve_huge_os_pages_at(size_t pages, int numa_node, size_t timeout_msecs) FM_NOTHROW;
FM_API int mi_reserve_huge_os_pages_at_ex(size_t pages, int numa_node, size_t timeout_msecs, bool exclusive, mi_arena_id_t* arena_id) FM_NOTHROW;
FM_API int mi_reserve_huge_os_pages_interleave(size_t pages, size_t numa_nodes, size_t timeout_msecs) FM_NOTHROW;

/* Makes an arena of the caller's memory, which must stay valid for good. `start` is best aligned to
 * mi_arena_min_alignment() and `size` must be at least mi_arena_min_size(). `is_pinned`: it can't be
 * given back; `is_zero`: it reads as zero. False if it is not taken.
 * With `commit_fun`, that function makes parts of the memory usable as they are needed, and takes free
 * parts back. Without it the memory may be shared or a file: it is never dropped, moved or protected. */
FM_API bool mi_manage_os_memory(void* start, size_t size, bool is_committed, bool is_pinned, bool is_zero, int numa_node) FM_NOTHROW;
FM_API bool mi_manage_os_memory_ex(void* start, size_t size, bool is_committed, bool is_pinned, bool is_zero,
                                   int numa_node, bool exclusive, mi_arena_id_t* arena_id) FM_NOTHROW;
FM_API bool mi_manage_memory(void* start, size_t size, bool is_committed, bool is_pinned, bool is_zero,
                             int numa_node, bool exclusive, mi_commit_fun_t* commit_fun, void* commit_fun_arg,
                             mi_arena_id_t* arena_id) FM_NOTHROW;
FM_API size_t mi_arena_min_alignment(void);
FM_API size_t mi_arena_min_size(void);
/* Larger blocks are mapped for themselves. */
FM_API size_t mi_arena_max_object_size(void);

/* Where an arena is and how large; null and 0 for none. */
FM_API void* mi_arena_area(mi_arena_id_t arena_id, size_t* size);
FM_API bool  mi_arena_contains(mi_arena_id_t arena_id, const void* p);
/* A heap whose blocks all come from this arena. */
FM_API mi_heap_t* mi_heap_new_in_arena(mi_arena_id_t arena_id) FM_RESULT;
/* Gives all unused memory of the arenas back, now. */
FM_API void mi_arenas_purge(void) FM_NOTHROW;
/* Draws the arenas to the output. */
FM_API void mi_arenas_print(void) FM_NOTHROW;

/* ======================================================================== *
 *  Sub-processes                                                           *
 * ======================================================================== */

FM_API mi_subproc_id_t mi_subproc_main(void);
FM_API mi_subproc_id_t mi_subproc_current(void);
FM_API mi_subproc_id_t mi_subproc_new(void);
/* Frees everything in it. No thread of it may be running, nor its blocks be used. Not for the main one. */
FM_API void mi_subproc_destroy(mi_subproc_id_t subproc);
/* Makes the calling thread one of `subproc`; for a new thread that has not allocated yet. */
FM_API void mi_subproc_add_current_thread(mi_subproc_id_t subproc);
FM_API bool mi_subproc_visit_heaps(mi_subproc_id_t subproc, mi_heap_visit_fun* visitor, void* arg);

/* ======================================================================== *
 *  The process: hooks, upkeep, information                                 *
 * ======================================================================== */

/* Hooks; null restores the default. There is one of each. */
FM_API void mi_register_deferred_free(mi_deferred_free_fun* deferred_free, void* arg) FM_NOTHROW;
FM_API void mi_register_output(mi_output_fun* out, void* arg) FM_NOTHROW;
FM_API void mi_register_error(mi_error_fun* fun, void* arg);

/* Gives free memory of the calling thread back; `force` all of it and now. */
FM_API void mi_collect(bool force) FM_NOTHROW;
/* Gives pages of the calling thread to other threads until it owns about this many bytes. */
FM_API void mi_collect_reduce(size_t target_thread_owned) FM_NOTHROW;

/* Not in mimalloc: the calling thread is about to wait, and gives back what it holds without need. For event loops and thread pools:
 * called again and again it does so now and then, and else next to nothing. */
FM_API void mi_on_thread_idle(void) FM_NOTHROW;

/* Not in mimalloc: a limit on what the process has committed, in bytes (whole 64 KiB); 0 for none. MIMALLOC_LIMIT=512MiB is the same.
 * What would exceed it is purged first, then the thread collects, then the function is asked, then the answer is null. */
FM_API void mi_process_set_limit(size_t bytes) FM_NOTHROW;
FM_API size_t mi_process_limit(void) FM_NOTHROW;
/* What counts against it now. */
FM_API size_t mi_process_charged(void) FM_NOTHROW;
/* `size` bytes would exceed the limit of `heap`, or of the process if it is null; true: try again. It may free and allocate. */
typedef bool (mi_cdecl mi_limit_fun)(mi_heap_t* heap, size_t size, void* arg);
FM_API void mi_register_limit(mi_limit_fun* fun, void* arg) FM_NOTHROW;

/* Not in mimalloc: the scavenger, a thread that gives idle memory back so that no free has to. It starts by itself if
 * MIMALLOC_SCAVENGE says so (1: always, auto: in a process with threads; 0, the default: never), and leaves with the last thread that allocates.
 * Starts it now; false without a thread. */
FM_API bool mi_scavenger_start(void) FM_NOTHROW;
/* Ends it and waits until it is gone; none starts by itself from then on. */
FM_API void mi_scavenger_stop(void) FM_NOTHROW;
/* One of its rounds, here and now; true if there is more to do later. */
FM_API bool mi_scavenger_step(void) FM_NOTHROW;

/* MI_MALLOC_VERSION of the library. */
FM_API int  mi_version(void) FM_NOTHROW;
/* True if the C library's malloc was redirected by patching (Windows); never elsewhere. */
FM_API bool mi_is_redirected(void) FM_NOTHROW FM_RESULT;

/* Text goes to `out`, or where that is null to the registered output, or to standard error. */
FM_API void mi_options_print(void) FM_NOTHROW;
FM_API void mi_options_print_out(mi_output_fun* out, void* arg) FM_NOTHROW;
FM_API void mi_process_info_print(void) FM_NOTHROW;
FM_API void mi_process_info_print_out(mi_output_fun* out, void* arg) FM_NOTHROW;
/* Each pointer may be null. Times in milliseconds, memory in bytes. */
FM_API void mi_process_info(size_t* elapsed_msecs, size_t* user_msecs, size_t* system_msecs,
                            size_t* current_rss, size_t* peak_rss,
                            size_t* current_commit, size_t* peak_commit, size_t* page_faults) FM_NOTHROW;

/* These happen by themselves; calling them again does no harm. */
FM_API void mi_process_init(void) FM_NOTHROW;
FM_API void mi_cdecl mi_process_done(void) FM_NOTHROW;
FM_API void mi_thread_init(void) FM_NOTHROW;
FM_API void mi_thread_done(void) FM_NOTHROW;
/* Says that the calling thread belongs to a pool and will idle between tasks. */
FM_API void mi_thread_set_in_threadpool(void) FM_NOTHROW;

/* The four statistics functions that stand here and not in mimalloc-stats.h; `out` of
 * mi_stats_print is ignored. */
FM_API void mi_stats_reset(void) FM_NOTHROW;
FM_API void mi_stats_merge(void) FM_NOTHROW;
FM_API void mi_stats_print(void* out) FM_NOTHROW;
FM_API void mi_stats_print_out(mi_output_fun* out, void* arg) FM_NOTHROW;

/* -- Kept for old programs: mi_any_heap_contains, mi_arenas_print, mi_stats_print_out and
 *    mi_reserve_huge_os_pages_interleave are the names to use. -- */
FM_API bool mi_check_owned(const void* p);
FM_API bool mi_is_in_heap_region(const void* p) FM_NOTHROW FM_RESULT;
FM_API void mi_debug_show_arenas(void) FM_NOTHROW;
FM_API void mi_thread_stats_print_out(mi_output_fun* out, void* arg) FM_NOTHROW;
FM_API int  mi_reserve_huge_os_pages(size_t pages, double max_secs, size_t* pages_reserved) FM_NOTHROW;

/* ======================================================================== *
 *  Options                                                                 *
 * ======================================================================== */

/* Each can be set in the environment as MIMALLOC_ and its name in capitals (MIMALLOC_PURGE_DELAY=100).
 * Where the unit is KiB the environment also takes 4MiB, 1g and the like. The numbers are part of
 * the interface; "deprecated" ones are accepted and do nothing. docs/TUNING.md tells more. */
typedef enum mi_option_e {
  mi_option_show_errors = 0,                      /* print errors and warnings */
  mi_option_show_stats = 1,                       /* print statistics at exit */
  mi_option_verbose = 2,                          /* print what is being done; 2 says more */
  mi_option_deprecated_eager_commit = 3,
  mi_option_arena_eager_commit = 4,               /* commit arenas whole: no, yes, 2 where the OS overcommits */
  mi_option_purge_decommits = 5,                  /* purged memory goes back at once (0: when the OS needs it) */
  mi_option_allow_large_os_pages = 6,             /* use large (2 MiB) OS pages */
  mi_option_reserve_huge_os_pages = 7,            /* number of 1 GiB pages to reserve at start */
  mi_option_reserve_huge_os_pages_at = 8,         /* ... at this NUMA node, -1 anywhere */
  mi_option_reserve_os_memory = 9,                /* KiB to reserve as an arena at start */
  mi_option_deprecated_segment_cache = 10,
  mi_option_deprecated_page_reset = 11,
  mi_option_deprecated_abandoned_page_purge = 12,
  mi_option_deprecated_segment_reset = 13,
  mi_option_deprecated_eager_commit_delay = 14,
  mi_option_purge_delay = 15,                     /* ms until unused memory is purged; 0 at once, -1 never */
  mi_option_use_numa_nodes = 16,                  /* pretend this many NUMA nodes; 0 asks the OS */
  mi_option_disallow_os_alloc = 17,               /* only memory that is reserved already */
  mi_option_os_tag = 18,                          /* tag of our memory on macOS */
  mi_option_max_errors = 19,                      /* print at most this many errors */
  mi_option_max_warnings = 20,                    /* print at most this many warnings */
  mi_option_deprecated_max_segment_reclaim = 21,
  mi_option_destroy_on_exit = 22,                 /* free all memory at exit */
  mi_option_arena_reserve = 23,                   /* KiB of the first arena; later ones grow */
  mi_option_arena_purge_mult = 24,                /* times purge_delay, for arenas */
  mi_option_deprecated_purge_extend_delay = 25,
  mi_option_disallow_arena_alloc = 26,            /* take memory from the OS each time */
  mi_option_retry_on_oom = 27,                    /* ms to wait for memory (Windows) */
  mi_option_deprecated_visit_abandoned = 28,
  mi_option_guarded_min = 29,                     /* smallest size that may get a guard page */
  mi_option_guarded_max = 30,                     /* largest size that may */
  mi_option_unsafe_guarded_precise = 31,          /* no gap before the guard page, at the cost of alignment */
  mi_option_guarded_sample_rate = 32,             /* guard one of this many blocks; 0 none */
  mi_option_guarded_sample_seed = 33,             /* where the sampling starts; 0 at random */
  mi_option_generic_collect = 34,                 /* collect every this many slow allocations */
  mi_option_page_reclaim_on_free = 35,            /* take abandoned pages over on free: -1 never, 0 own, 1 any */
  mi_option_page_full_retain = 36,                /* full pages kept per size class */
  mi_option_page_max_candidates = 37,             /* pages compared in a search */
  mi_option_max_vabits = 38,                      /* bits of an address; 0 detects */
  mi_option_pagemap_commit = 39,                  /* commit the page map at start */
  mi_option_page_commit_on_demand = 40,           /* commit a page bit by bit */
  mi_option_page_max_reclaim = 41,                /* own pages per size class beyond which none is taken back; -1 no limit */
  mi_option_page_cross_thread_max_reclaim = 42,   /* the same for pages of other threads */
  mi_option_allow_thp = 43,                       /* transparent huge pages: 0 off for the process, 2 purge in their unit */
  mi_option_arena_purge_min_size = 44,            /* KiB of the smallest purge; 0 chooses */
  mi_option_arena_max_object_size = 45,           /* KiB; larger blocks come from the OS */
  mi_option_arena_is_numa_local = 46,             /* an arena serves the NUMA node that it was reserved on */
  mi_option_stats_merge_on_collect = 47,          /* a collection hands statistics over to the heap */
  mi_option_profile_alloc_interval = 48,          /* bytes allocated between snapshots of the profiler; 0 none */
  mi_option_profile_inuse_interval = 49,          /* bytes by which the memory in use grows between them; 0 none */
  mi_option_profile_time_interval = 50,           /* seconds between them; 0 none */
  mi_option_profile_sample_rate = 51,             /* the profiler sees one allocation in so many bytes */
  mi_option_stats_merge_threshold = 52,           /* bytes after which statistics are handed over to the heap; 0 never */
  mi_option_arena_purge_immediate_size = 53,      /* KiB; larger free ranges are purged at once */
  mi_option_mte = 54,                             /* tag memory: 0 no, 2 sync, 3 async, 4 as the process prefers */
  _mi_option_last,
  mi_option_scavenge = 1000,                      /* ours: a thread that purges: 0 never, 1 always, 2 beside other threads */
  mi_option_limit = 1003,                         /* ours: bytes that the process may have committed; 0 any number */
  mi_option_name_maps = 1004,                     /* ours: memory is listed by name in /proc/PID/maps */
  mi_option_guarded_rest = 1005,                  /* ours: so many guarded blocks stay inaccessible after they were freed; 0 none */

  /* earlier names */
  mi_option_eager_region_commit = mi_option_arena_eager_commit,
  mi_option_reset_decommits = mi_option_purge_decommits,
  mi_option_large_os_pages = mi_option_allow_large_os_pages,
  mi_option_reset_delay = mi_option_purge_delay,
  mi_option_limit_os_alloc = mi_option_disallow_os_alloc,
  mi_option_visit_abandoned = mi_option_deprecated_visit_abandoned,
  mi_option_guarded_precise = mi_option_unsafe_guarded_precise,
  mi_option_minimal_purge_size = mi_option_arena_purge_min_size
} mi_option_t;

/* Enabled means: not zero. The `default` setters yield to a value that was set before, be it by the environment.
 * Unknown numbers read as 0 and can't be set. mi_option_get_size gives bytes where the unit is KiB. */
FM_API bool   mi_option_is_enabled(mi_option_t option) FM_RESULT;
FM_API void   mi_option_enable(mi_option_t option);
FM_API void   mi_option_disable(mi_option_t option);
FM_API void   mi_option_set_enabled(mi_option_t option, bool enable);
FM_API void   mi_option_set_enabled_default(mi_option_t option, bool enable);
FM_API long   mi_option_get(mi_option_t option) FM_RESULT;
FM_API long   mi_option_get_clamp(mi_option_t option, long min, long max) FM_RESULT;
FM_API size_t mi_option_get_size(mi_option_t option) FM_RESULT;
FM_API void   mi_option_set(mi_option_t option, long value);
FM_API void   mi_option_set_default(mi_option_t option, long value);

/* ======================================================================== *
 *  Sizes that are constant where they stand                                *
 * ======================================================================== */

/* By words of sizeof(size_t), MI_SMALL_WSIZE_MAX at most. */
FM_API void* mi_wmalloc_small(size_t wsize) FM_NOTHROW FM_FRESH;
FM_API void* mi_wzalloc_small(size_t wsize) FM_NOTHROW FM_FRESH;
FM_API void* mi_theap_wmalloc_small(mi_theap_t* theap, size_t wsize) FM_NOTHROW FM_FRESH;
FM_API void* mi_theap_wzalloc_small(mi_theap_t* theap, size_t wsize) FM_NOTHROW FM_FRESH;

/* The words that hold `size` bytes. */
static inline size_t mi_wsize_from_size(size_t size) FM_NOTHROW {
  return size / sizeof(size_t) + (size % sizeof(size_t) != 0);
}

/* Here the library's functions are as fast by themselves. It exports these, too, for those who can't use a header. */
static inline void* mi_malloc_csize(size_t size) FM_NOTHROW { return mi_malloc(size); }
static inline void* mi_zalloc_csize(size_t size) FM_NOTHROW { return mi_zalloc(size); }
static inline void* mi_theap_malloc_csize(mi_theap_t* theap, size_t size) FM_NOTHROW { return mi_theap_malloc(theap, size); }
static inline void* mi_theap_zalloc_csize(mi_theap_t* theap, size_t size) FM_NOTHROW { return mi_theap_zalloc(theap, size); }
static inline void mi_free_csize(void* p, size_t size) FM_NOTHROW { mi_free_size(p, size); }
static inline void mi_free_csize_nonnull(void* p, size_t size) FM_NOTHROW { mi_free_size(p, size); }
static inline void mi_free_csize_aligned(void* p, size_t size, size_t alignment) FM_NOTHROW {
  mi_free_size_aligned(p, size, alignment);
}
static inline void mi_free_csize_aligned_nonnull(void* p, size_t size, size_t alignment) FM_NOTHROW {
  mi_free_size_aligned(p, size, alignment);
}

#ifdef __cplusplus
} /* extern "C" */

/* ======================================================================== *
 *  C++: allocators for containers                                          *
 * ======================================================================== */

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>

#define MI_HAS_HEAP_STL_ALLOCATOR 1

/* Allocates with mi_new and frees with mi_free. All its values are equal. */
template <class T>
struct mi_stl_allocator {
  using value_type = T;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using propagate_on_container_copy_assignment = std::true_type;
  using propagate_on_container_move_assignment = std::true_type;
  using propagate_on_container_swap = std::true_type;
  using is_always_equal = std::true_type;
  template <class U> struct rebind { using other = mi_stl_allocator<U>; };

  mi_stl_allocator() noexcept = default;
  template <class U> mi_stl_allocator(const mi_stl_allocator<U>&) noexcept {}

  T* allocate(std::size_t count) { return static_cast<T*>(mi_new_n(count, sizeof(T))); }
  void deallocate(T* p, std::size_t) noexcept { mi_free(p); }
};

template <class T, class U>
bool operator==(const mi_stl_allocator<T>&, const mi_stl_allocator<U>&) noexcept { return true; }
template <class T, class U>
bool operator!=(const mi_stl_allocator<T>&, const mi_stl_allocator<U>&) noexcept { return false; }

/* What the two allocators of a heap share: a counted reference to the heap. One made without a heap
 * creates its own, which ends (`end`) with the last copy; one made from a heap leaves that alone. */
class mi_stl_heap_ref {
 public:
  mi_heap_t* get() const noexcept { return shared_.get(); }
  bool same(const mi_stl_heap_ref& other) const noexcept { return shared_ == other.shared_; }

 protected:
  using end_fun = void (*)(mi_heap_t*);
  explicit mi_stl_heap_ref(end_fun end) { own(mi_heap_new(), end); }
  explicit mi_stl_heap_ref(mi_heap_t* borrowed) : shared_(borrowed, [](mi_heap_t*) {}) {}

 private:
  void own(mi_heap_t* fresh, end_fun end) {
    if (fresh == nullptr) no_memory();
    shared_.reset(fresh, end);
  }
  static void no_memory() {
#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
    throw std::bad_alloc();
#else
    std::abort();
#endif
  }
  std::shared_ptr<mi_heap_t> shared_;
};

/* The common face of the two, `Self` being the allocator itself. */
template <class T, template <class> class Self>
class mi_stl_heap_allocator_base : public mi_stl_heap_ref {
 public:
  using value_type = T;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using propagate_on_container_copy_assignment = std::true_type;
  using propagate_on_container_move_assignment = std::true_type;
  using propagate_on_container_swap = std::true_type;
  using is_always_equal = std::false_type;
  template <class U> struct rebind { using other = Self<U>; };

  T* allocate(std::size_t count) { return static_cast<T*>(mi_heap_alloc_new_n(get(), count, sizeof(T))); }
  void collect(bool force) { mi_heap_collect(get(), force); }
  template <class U> bool is_equal(const Self<U>& other) const noexcept { return same(other); }

 protected:
  explicit mi_stl_heap_allocator_base(end_fun end) : mi_stl_heap_ref(end) {}
  explicit mi_stl_heap_allocator_base(mi_heap_t* borrowed) : mi_stl_heap_ref(borrowed) {}
  explicit mi_stl_heap_allocator_base(const mi_stl_heap_ref& other) noexcept : mi_stl_heap_ref(other) {}
};

/* Allocates in a heap. Its own heap is deleted at the end: blocks that live longer stay valid. */
template <class T>
struct mi_heap_stl_allocator : mi_stl_heap_allocator_base<T, mi_heap_stl_allocator> {
  using base = mi_stl_heap_allocator_base<T, mi_heap_stl_allocator>;
  mi_heap_stl_allocator() : base(&mi_heap_delete) {}
  mi_heap_stl_allocator(mi_heap_t* heap) : base(heap) {}
  template <class U> mi_heap_stl_allocator(const mi_heap_stl_allocator<U>& other) noexcept
      : base(static_cast<const mi_stl_heap_ref&>(other)) {}
  void deallocate(T* p, std::size_t) noexcept { mi_free(p); }
};

/* Allocates in a heap and frees nothing: its own heap is destroyed, all blocks with it, at the end. */
template <class T>
struct mi_heap_destroy_stl_allocator : mi_stl_heap_allocator_base<T, mi_heap_destroy_stl_allocator> {
  using base = mi_stl_heap_allocator_base<T, mi_heap_destroy_stl_allocator>;
  mi_heap_destroy_stl_allocator() : base(&mi_heap_destroy) {}
  mi_heap_destroy_stl_allocator(mi_heap_t* heap) : base(heap) {}
  template <class U> mi_heap_destroy_stl_allocator(const mi_heap_destroy_stl_allocator<U>& other) noexcept
      : base(static_cast<const mi_stl_heap_ref&>(other)) {}
  void deallocate(T*, std::size_t) noexcept {}
};

template <class T, class U>
bool operator==(const mi_heap_stl_allocator<T>& a, const mi_heap_stl_allocator<U>& b) noexcept { return a.same(b); }
template <class T, class U>
bool operator!=(const mi_heap_stl_allocator<T>& a, const mi_heap_stl_allocator<U>& b) noexcept { return !a.same(b); }
template <class T, class U>
bool operator==(const mi_heap_destroy_stl_allocator<T>& a, const mi_heap_destroy_stl_allocator<U>& b) noexcept { return a.same(b); }
template <class T, class U>
bool operator!=(const mi_heap_destroy_stl_allocator<T>& a, const mi_heap_destroy_stl_allocator<U>& b) noexcept { return !a.same(b); }

#endif /* __cplusplus */

#endif /* MIMALLOC_H */
