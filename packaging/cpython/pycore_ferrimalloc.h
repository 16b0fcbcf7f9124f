/* What free-threaded CPython's own headers have to know of ferrimalloc: the state of an interpreter and of a thread.
 *
 * Stands for the structures of pycore_mimalloc.h where WITH_FERRIMALLOC is defined (README.md has the design).
 * An interpreter has a heap for each purpose, which all of its threads share; a thread has its theap in each of them.
 */
#ifndef Py_INTERNAL_FERRIMALLOC_H
#define Py_INTERNAL_FERRIMALLOC_H

#ifdef __cplusplus
extern "C" {
#endif

#include "ferrimalloc/mimalloc.h"

struct mi_heap_qsbr_s;

struct _mimalloc_interp_state {
    mi_heap_t *heaps[_Py_MIMALLOC_HEAP_COUNT];
    // What the heaps' pages wait by; null for the heap of PyMem_Malloc(), whose pages don't.
    struct mi_heap_qsbr_s *qsbr[_Py_MIMALLOC_HEAP_COUNT];
};

struct _mimalloc_thread_state {
    // Where PyObject_Malloc() allocates now.
    mi_theap_t *current_object_heap;
    // Of the thread that the thread state is bound to, which alone may use them.
    mi_theap_t *heaps[_Py_MIMALLOC_HEAP_COUNT];
};

#ifdef __cplusplus
}
#endif

#endif // Py_INTERNAL_FERRIMALLOC_H
