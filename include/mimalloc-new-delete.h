/* mimalloc-new-delete.h: C++'s operators new and delete on ferrimalloc.
 *
 * Include it in exactly one source file of a program. On Linux linking the library is enough; with this the
 * operators are the program's own and call mi_new and mi_free without a detour.
 */
#ifndef MIMALLOC_NEW_DELETE_H
#define MIMALLOC_NEW_DELETE_H

#if defined(__cplusplus)

#include <cstddef>
#include <mimalloc.h>
#include <new>

/* FM_NEW_DELETE(new, delete) and FM_NEW_DELETE(new[], delete[]) define one family each. */
#define FM_NEW_DELETE(NEW, DELETE) \
  void* operator NEW(std::size_t size) { return mi_new(size); } \
  void* operator NEW(std::size_t size, const std::nothrow_t&) noexcept { return mi_new_nothrow(size); } \
  void operator DELETE(void* p) noexcept { mi_free(p); } \
  void operator DELETE(void* p, const std::nothrow_t&) noexcept { mi_free(p); }

#define FM_SIZED_DELETE(DELETE) \
  void operator DELETE(void* p, std::size_t size) noexcept { mi_free_size(p, size); }

#define FM_ALIGNED_NEW_DELETE(NEW, DELETE) \
  void* operator NEW(std::size_t size, std::align_val_t align) { \
    return mi_new_aligned(size, static_cast<std::size_t>(align)); \
  } \
  void* operator NEW(std::size_t size, std::align_val_t align, const std::nothrow_t&) noexcept { \
    return mi_new_aligned_nothrow(size, static_cast<std::size_t>(align)); \
  } \
  void operator DELETE(void* p, std::align_val_t align) noexcept { \
    mi_free_aligned(p, static_cast<std::size_t>(align)); \
  } \
  void operator DELETE(void* p, std::align_val_t align, const std::nothrow_t&) noexcept { \
    mi_free_aligned(p, static_cast<std::size_t>(align)); \
  } \
  void operator DELETE(void* p, std::size_t size, std::align_val_t align) noexcept { \
    mi_free_size_aligned(p, size, static_cast<std::size_t>(align)); \
  }

FM_NEW_DELETE(new, delete)
FM_NEW_DELETE(new[], delete[])

#if __cplusplus >= 201402L
FM_SIZED_DELETE(delete)
FM_SIZED_DELETE(delete[])
#endif

#if defined(__cpp_aligned_new)
FM_ALIGNED_NEW_DELETE(new, delete)
FM_ALIGNED_NEW_DELETE(new[], delete[])
#endif

#undef FM_NEW_DELETE
#undef FM_SIZED_DELETE
#undef FM_ALIGNED_NEW_DELETE

#endif /* __cplusplus */

#endif /* MIMALLOC_NEW_DELETE_H */
