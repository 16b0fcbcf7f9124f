/* The heap profiler, with the names of mimalloc 3.6. See docs/PROFILING.md. */
#pragma once
#ifndef MIMALLOC_PROFILE_H
#define MIMALLOC_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mimalloc.h"

typedef struct mi_profiler_s mi_profiler_t;

/* Data of a sample, of a profiler with callbacks. */
typedef struct mi_profiler_sample_data_s {
  size_t user_data_size;
  void* user_data[1];
} mi_profiler_sample_data_t;

typedef size_t(mi_profiler_on_alloc_fun)(mi_profiler_t* profiler, mi_profiler_sample_data_t* data, void* ptr,
                                         size_t requested_size, size_t bytes_sample_rate,
                                         uint64_t bytes_since_last_sample, mi_heap_t* heap);
typedef size_t(mi_profiler_on_realloc_inplace_fun)(mi_profiler_t* profiler, mi_profiler_sample_data_t* data, void* ptr,
                                                   size_t old_size, mi_heap_t* heap);
typedef void(mi_profiler_on_free_fun)(mi_profiler_t* profiler, mi_profiler_sample_data_t* data, void* ptr,
                                      mi_heap_t* heap);
typedef void(mi_profiler_on_snapshot_fun)(mi_profiler_t* profiler);

/* A profiler. One with callbacks is refused by the functions below: there is the built-in one alone. */
struct mi_profiler_s {
  void* reserved;
  size_t sample_data_size;
  size_t initial_sample_rate;
  mi_profiler_on_alloc_fun* on_alloc;
  mi_profiler_on_free_fun* on_free;
  mi_profiler_on_realloc_inplace_fun* on_realloc_inplace;
  mi_profiler_on_snapshot_fun* on_snapshot;
};

#define MI_PROFILE_SAMPLE_DATA_MAX_SIZE (1024)

#ifdef __cplusplus
extern "C" {
#endif

/* A profiler that writes files named after base_file_name: <name>.0001.pb and so on. An extension .heap, .text or .folded
   chooses another format. Files are written each time so many bytes have been allocated, so many more are in use, or so many
   seconds have passed; 0: not by themselves. One sample per initial_threshold bytes (0: option profile_sample_rate). */
FM_API mi_profiler_t* mi_pprof_profiler_new(size_t initial_threshold, const char* base_file_name,
                                                    size_t alloc_interval_size, size_t inuse_interval_size,
                                                    size_t time_interval_secs);
FM_API void mi_pprof_profiler_delete(mi_profiler_t* profiler);

/* Attaches a profiler: to all heaps, or to one. NULL detaches. False if that can't be done. */
FM_API bool mi_profile(mi_profiler_t* profiler);
FM_API bool mi_subproc_profile(mi_subproc_id_t subproc_id, mi_profiler_t* profiler);
FM_API bool mi_heap_profile(mi_heap_t* heap, mi_profiler_t* profiler);

/* No profiler looks at the heap from now on. */
FM_API void mi_heap_profile_disable(mi_heap_t* heap);

/* Both tell whether the profiler was running. */
FM_API bool mi_profiler_start(mi_profiler_t* profiler);
FM_API bool mi_profiler_stop(mi_profiler_t* profiler);

/* Writes the next file. */
FM_API void mi_profiler_snapshot(mi_profiler_t* profiler);

#ifdef __cplusplus
}
#endif

#endif
