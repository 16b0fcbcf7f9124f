/* mimalloc-override.h: makes the allocation functions of C mean ferrimalloc's, in the files that include it.
 *
 * Include it after the system's headers. Linking or preloading the library replaces malloc for the whole
 * program and needs none of this; this is for replacing it in some files only. Such a file must not free
 * what other code has allocated with another allocator, nor hand out blocks for other code to free.
 */
#ifndef MIMALLOC_OVERRIDE_H
#define MIMALLOC_OVERRIDE_H

#include <mimalloc.h>

/* C */
#define malloc(size)                 mi_malloc(size)
#define calloc(count, size)          mi_calloc(count, size)
#define realloc(p, size)             mi_realloc(p, size)
#define free(p)                      mi_free(p)
#define aligned_alloc(align, size)   mi_aligned_alloc(align, size)

#define free_sized(p, size)          mi_free_sized(p, size)
#define free_aligned_sized(p, align, size) mi_free_aligned_sized(p, align, size)

/* POSIX */
#define posix_memalign(p, align, size) mi_posix_memalign(p, align, size)
#define strdup(s)                    mi_strdup(s)
#define strndup(s, n)                mi_strndup(s, n)
#define realpath(name, resolved)     mi_realpath(name, resolved)

/* Unix */
#define memalign(align, size)        mi_memalign(align, size)
#define valloc(size)                 mi_valloc(size)
#define pvalloc(size)                mi_pvalloc(size)
#define reallocarray(p, count, size) mi_reallocarray(p, count, size)
#define reallocarr(pp, count, size)  mi_reallocarr(pp, count, size)
#define reallocf(p, size)            mi_reallocf(p, size)
#define cfree(p)                     mi_free(p)
#define malloc_usable_size(p)        mi_usable_size(p)
#define malloc_size(p)               mi_usable_size(p)
#define malloc_good_size(size)       mi_malloc_good_size(size)

/* Windows */
#define _expand(p, size)             mi_expand(p, size)
#define _msize(p)                    mi_usable_size(p)
#define _recalloc(p, count, size)    mi_recalloc(p, count, size)
#define _strdup(s)                   mi_strdup(s)
#define _strndup(s, n)               mi_strndup(s, n)
#define _wcsdup(s)                   mi_wcsdup(s)
#define _mbsdup(s)                   mi_mbsdup(s)
#define _dupenv_s(buf, size, name)   mi_dupenv_s(buf, size, name)
#define _wdupenv_s(buf, size, name)  mi_wdupenv_s(buf, size, name)
#define _posix_memalign(p, align, size)                    mi_posix_memalign(p, align, size)
#define _aligned_malloc(size, align)                       mi_malloc_aligned(size, align)
#define _aligned_realloc(p, size, align)                   mi_realloc_aligned(p, size, align)
#define _aligned_recalloc(p, count, size, align)           mi_aligned_recalloc(p, count, size, align)
#define _aligned_msize(p, align, offset)                   mi_usable_size(p)
#define _aligned_free(p)                                   mi_free(p)
#define _aligned_offset_malloc(size, align, offset)        mi_malloc_aligned_at(size, align, offset)
#define _aligned_offset_realloc(p, size, align, offset)    mi_realloc_aligned_at(p, size, align, offset)
#define _aligned_offset_recalloc(p, count, size, align, offset) mi_recalloc_aligned_at(p, count, size, align, offset)

#endif /* MIMALLOC_OVERRIDE_H */
