/* mimalloc-stats.h: the statistics of ferrimalloc, laid out as mimalloc 3.6.2's.
 *
 * A caller fills in `size` and `version` (mi_stats_init does) before it asks for a mi_stats_t; a getter
 * that was built for another layout then returns false and writes nothing. This library also serves callers that
 * were compiled for version 5 (mimalloc 3.4).
 */
#ifndef MIMALLOC_STATS_H
#define MIMALLOC_STATS_H

#include <mimalloc.h>
#include <stdint.h>
#include <string.h>

/* Changes whenever mi_stats_t does. */
#define MI_STAT_VERSION 6

/* Number of the bin (size class) of huge blocks, the last one. */
#define MI_BIN_HUGE (73U)

/* An amount that goes up and down. */
typedef struct mi_stat_count_s {
  int64_t total;   /* all increases */
  int64_t peak;    /* highest value of `current` */
  int64_t current; /* increases less decreases */
} mi_stat_count_t;

/* A number that only goes up. */
typedef struct mi_stat_counter_s {
  int64_t total;
} mi_stat_counter_t;

/* The fields of mi_stats_t, in order. To do something with each of them define MI_STAT_COUNT(name) and
 * MI_STAT_COUNTER(name), write MI_STAT_FIELDS(), and undefine the two again. Bytes where not said. */
#define MI_STAT_FIELDS() \
  MI_STAT_COUNT(pages)                       /* number of pages */ \
  MI_STAT_COUNT(reserved)                    /* address space */ \
  MI_STAT_COUNT(committed)                   /* usable memory */ \
  MI_STAT_COUNTER(reset)                     /* purged, contents undefined */ \
  MI_STAT_COUNTER(purged)                    /* purged, given back */ \
  MI_STAT_COUNT(page_committed)              /* usable memory in pages */ \
  MI_STAT_COUNT(pages_abandoned)             /* number of pages no thread owns */ \
  MI_STAT_COUNT(threads)                     /* number of threads */ \
  MI_STAT_COUNT(allocated)                   /* blocks */ \
  MI_STAT_COUNTER(malloc_count)              /* number of allocations */ \
  MI_STAT_COUNTER(free_count)                /* number of frees */ \
  MI_STAT_COUNTER(freed)                     /* blocks freed */ \
  MI_STAT_COUNTER(malloc_requested)          /* what callers asked for */ \
  MI_STAT_COUNTER(mmap_calls)                /* calls of the OS */ \
  MI_STAT_COUNTER(commit_calls) \
  MI_STAT_COUNTER(reset_calls) \
  MI_STAT_COUNTER(purge_calls) \
  MI_STAT_COUNTER(arena_count)               /* number of arenas */ \
  MI_STAT_COUNTER(malloc_guarded_count)      /* allocations with a guard page */ \
  MI_STAT_COUNTER(arena_rollback_count)      /* claims of slices undone */ \
  MI_STAT_COUNTER(arena_purges)              /* rounds of purging */ \
  MI_STAT_COUNTER(pages_extended)            /* times that a page got more blocks */ \
  MI_STAT_COUNTER(pages_retire)              /* pages kept empty for a while */ \
  MI_STAT_COUNTER(page_searches)             /* pages looked at */ \
  MI_STAT_COUNTER(page_searches_count)       /* searches for a page */ \
  MI_STAT_COUNT(segments)                    /* older versions: always 0 */ \
  MI_STAT_COUNT(segments_abandoned) \
  MI_STAT_COUNT(segments_cache) \
  MI_STAT_COUNT(_segments_reserved) \
  MI_STAT_COUNT(heaps)                       /* number of heaps */ \
  MI_STAT_COUNT(theaps)                      /* number of threads' parts of heaps */ \
  MI_STAT_COUNT(pages_os_abandoned)          /* number of pages outside of arenas that no thread owns */ \
  MI_STAT_COUNT(pages_os_allocated)          /* number of pages outside of arenas */ \
  MI_STAT_COUNTER(pages_reclaim_on_alloc)    /* abandoned pages taken over by an allocation */ \
  MI_STAT_COUNTER(pages_reclaim_on_free)     /* ... by a free */ \
  MI_STAT_COUNTER(pages_reabandon_full)      /* full pages given up again */ \
  MI_STAT_COUNTER(pages_unabandon_busy_wait) /* waits for another thread */ \
  MI_STAT_COUNTER(pages_unown_cas_retry)     /* frees that came while a page was given up */ \
  MI_STAT_COUNTER(heaps_delete_wait)         /* waits to delete a heap */ \
  MI_STAT_COUNTER(pages_stat_updates)        /* counts taken from pages: always 0 */ \
  MI_STAT_COUNTER(pages_stat_update_count) \
  MI_STAT_COUNTER(profile_samples)           /* allocations that the profiler sampled */ \
  MI_STAT_COUNT(malloc_normal)               /* blocks in shared pages */ \
  MI_STAT_COUNT(malloc_huge)                 /* blocks that have a page each */ \
  MI_STAT_COUNTER(malloc_normal_count)       /* number of allocations of either kind */ \
  MI_STAT_COUNTER(malloc_huge_count)

/* What a chunk of an arena is used for. */
typedef enum mi_chunkbin_e {
  MI_CBIN_SMALL,  /* pages of one slice */
  MI_CBIN_OTHER,  /* pages of other sizes */
  MI_CBIN_MEDIUM, /* medium pages */
  MI_CBIN_LARGE,  /* large pages */
  MI_CBIN_HUGE,   /* runs longer than a chunk */
  MI_CBIN_NONE,   /* nothing yet */
  MI_CBIN_COUNT
} mi_chunkbin_t;

#define MI_STAT_COUNT(name)   mi_stat_count_t name;
#define MI_STAT_COUNTER(name) mi_stat_counter_t name;

typedef struct mi_stats_s {
  size_t size;    /* sizeof(mi_stats_t) */
  size_t version; /* MI_STAT_VERSION */
  MI_STAT_FIELDS()
  mi_stat_count_t   _stat_reserved[4];
  mi_stat_counter_t _stat_counter_reserved[4];
  mi_stat_count_t   malloc_bins[MI_BIN_HUGE + 1]; /* blocks per bin */
  mi_stat_count_t   page_bins[MI_BIN_HUGE + 1];   /* pages per bin */
  mi_stat_count_t   chunk_bins[MI_CBIN_COUNT];    /* chunks per use */
} mi_stats_t;

#undef MI_STAT_COUNT
#undef MI_STAT_COUNTER

/* Fills in `size` and `version`; mi_stats_init also zeroes the rest. */
static inline void mi_stats_header_init(mi_stats_t* stats) {
  stats->size = sizeof(mi_stats_t);
  stats->version = MI_STAT_VERSION;
}

static inline void mi_stats_init(mi_stats_t* stats) {
  memset(stats, 0, sizeof(mi_stats_t));
  mi_stats_header_init(stats);
}

/* Declares a variable that is ready for a getter. */
#define mi_stats_t_decl(name) mi_stats_t name; mi_stats_init(&(name));

#ifdef __cplusplus
extern "C" {
#endif

/* Values. False if `stats` was not initialised, or for another version.
 *   mi_stats_get                   the calling thread's sub-process with all its heaps
 *   mi_subproc_stats_get           a sub-process with all its heaps
 *   mi_subproc_stats_get_exclusive a sub-process without its heaps
 *   mi_heap_stats_get              one heap */
FM_API bool mi_stats_get(mi_stats_t* stats) FM_NOTHROW;
FM_API bool mi_subproc_stats_get(mi_subproc_id_t subproc_id, mi_stats_t* stats) FM_NOTHROW;
FM_API bool mi_subproc_stats_get_exclusive(mi_subproc_id_t subproc_id, mi_stats_t* stats) FM_NOTHROW;
FM_API bool mi_heap_stats_get(mi_heap_t* heap, mi_stats_t* stats) FM_NOTHROW;

/* JSON, into `buf` of `buf_size` bytes, or where `buf` is null into a fresh block for mi_free. */
FM_API char* mi_stats_get_json(size_t buf_size, char* buf) FM_NOTHROW;
FM_API char* mi_subproc_stats_get_json(mi_subproc_id_t subproc_id, size_t buf_size, char* buf) FM_NOTHROW;
FM_API char* mi_heap_stats_get_json(mi_heap_t* heap, size_t buf_size, char* buf) FM_NOTHROW;
FM_API char* mi_stats_as_json(mi_stats_t* stats, size_t buf_size, char* buf) FM_NOTHROW;

/* Text for people; mi_subproc_heap_stats_print_out shows each heap by itself. */
FM_API void mi_stats_print_out(mi_output_fun* out, void* arg) FM_NOTHROW;
FM_API void mi_subproc_stats_print_out(mi_subproc_id_t subproc_id, mi_output_fun* out, void* arg) FM_NOTHROW;
FM_API void mi_subproc_heap_stats_print_out(mi_subproc_id_t subproc_id, mi_output_fun* out, void* arg) FM_NOTHROW;
FM_API void mi_heap_stats_print_out(mi_heap_t* heap, mi_output_fun* out, void* arg) FM_NOTHROW;

/* Moves a heap's numbers to its sub-process. */
FM_API void mi_heap_stats_merge_to_subproc(mi_heap_t* heap);

/* What a theap of the calling thread has counted, and what is in its pages; and moving that to its heap. */
FM_API bool mi_theap_stats_get(mi_theap_t* theap, mi_stats_t* stats) FM_NOTHROW;
FM_API void mi_theap_stats_merge_to_heap(mi_theap_t* theap) FM_NOTHROW;

/* The block size of a bin, in bytes. */
FM_API size_t mi_stats_get_bin_size(size_t bin) FM_NOTHROW;

#ifdef __cplusplus
}
#endif

#endif /* MIMALLOC_STATS_H */
