/* The POSIX, Unix and Windows names. */
#include "check.h"
#include <wchar.h>

static void test_free_variants(void) {
  int local = 0;
  void* p = mi_malloc(100);
  mi_cfree(p);
  mi_cfree(NULL);
  mi_cfree(&local); /* not ours: left alone */
  CHECK(local == 0);
  p = mi_malloc(100);
  mi_free_size(p, 100);
  mi_free_size(NULL, 0);
  p = mi_malloc_aligned(100, 256);
  mi_free_size_aligned(p, 100, 256);
  p = mi_malloc_aligned(100, 256);
  mi_free_aligned(p, 256);
  mi_free_aligned(NULL, 16);
  CHECK(holds(p = mi_malloc(100), 1, 100));
  mi_free(p);
}

static void test_size_names(void) {
  void* p = mi_malloc(1000);
  CHECK(mi_malloc_size(p) == mi_usable_size(p));
  CHECK(mi_malloc_usable_size(p) == mi_usable_size(p));
  CHECK(mi_malloc_size(NULL) == 0 && mi_malloc_usable_size(NULL) == 0);
  for (size_t size = 1; size < 100000; size = size * 3 + 1) CHECK(mi_malloc_good_size(size) == mi_good_size(size));
  mi_free(p);
}

static void test_posix_memalign(void) {
  void* const untouched = &check_passed;
  for (size_t alignment = 8; alignment <= 65536; alignment *= 2) {
    void* p = NULL;
    CHECK(mi_posix_memalign(&p, alignment, 1000) == 0);
    CHECK(is_aligned(p, alignment) && holds(p, 1, 1000));
    mi_free(p);
  }
  static const size_t BAD[] = {0, 1, 2, 4, 3, 24, 100};
  for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
    void* p = untouched;
    CHECK(mi_posix_memalign(&p, opaque(BAD[i]), 100) == EINVAL);
    CHECK(p == untouched);
  }
  void* p = untouched;
  CHECK(mi_posix_memalign(&p, 64, TOO_LARGE) == ENOMEM);
  CHECK(p == untouched);
  CHECK(mi_posix_memalign(NULL, 64, 100) == EINVAL);
  CHECK(mi_posix_memalign(&p, 64, opaque(0)) == 0 && p != untouched && p != NULL);
  mi_free(p);
}

static void test_memalign(void) {
  for (size_t alignment = 1; alignment <= 65536; alignment *= 2) {
    void* p = mi_memalign(alignment, 777);
    void* q = mi_aligned_alloc(alignment, 777); /* size need not be a multiple */
    CHECK(is_aligned(p, alignment) && holds(p, 1, 777));
    CHECK(is_aligned(q, alignment) && holds(q, 1, 777));
    mi_free(p);
    mi_free(q);
  }
  void* volatile none;
  CHECK((none = mi_memalign(opaque(24), 100)) == NULL);
  CHECK((none = mi_aligned_alloc(opaque(24), 100)) == NULL);
  CHECK((none = mi_aligned_alloc(64, TOO_LARGE)) == NULL);
}

static void test_valloc(void) {
  size_t os_page = (size_t)sysconf(_SC_PAGESIZE);
  void* p = mi_valloc(100);
  CHECK(is_aligned(p, os_page) && holds(p, 1, 100));
  mi_free(p);
  p = mi_pvalloc(os_page + 1);
  CHECK(is_aligned(p, os_page) && mi_usable_size(p) >= 2 * os_page && holds(p, 2, 2 * os_page));
  mi_free(p);
  void* volatile none;
  CHECK((none = mi_valloc(TOO_LARGE)) == NULL);
  CHECK((none = mi_pvalloc(opaque(SIZE_MAX))) == NULL);
}

static void test_reallocarray(void) {
  void* p = mi_reallocarray(NULL, 10, 10);
  CHECK(holds(p, 3, 100));
  p = mi_reallocarray(p, 100, 100);
  CHECK(p != NULL && all_bytes(p, 3, 100));
  errno = 0;
  void* volatile none = mi_reallocarray(p, HALF_COUNT, 4);
  CHECK(none == NULL);
  CHECK(errno == (on_ours() ? ENOMEM : EOVERFLOW)); /* reallocarray(3) says ENOMEM */
  CHECK(all_bytes(p, 3, 100));
  mi_free(p);
}

static void test_reallocarr(void) {
  char* p = NULL;
  CHECK(mi_reallocarr(&p, 10, 10) == 0);
  CHECK(holds(p, 4, 100));
  CHECK(mi_reallocarr(&p, 100, 100) == 0);
  CHECK(p != NULL && all_bytes(p, 4, 100));
  char* before = p;
  CHECK(mi_reallocarr(&p, HALF_COUNT, 4) == EOVERFLOW);
  CHECK(p == before && all_bytes(p, 4, 100));
  CHECK(mi_reallocarr(&p, 0, 4) == 0); /* frees */
  CHECK(p == NULL);
  CHECK(mi_reallocarr(NULL, 10, 10) == EINVAL);
}

static void test_aligned_recalloc(void) {
  char* p = (char*)mi_aligned_recalloc(NULL, 10, 10, 64);
  CHECK(p != NULL && is_aligned(p, 64) && all_bytes(p, 0, 100));
  p = (char*)mi_aligned_recalloc(p, 100, 100, 64);
  CHECK(p != NULL && is_aligned(p, 64) && all_bytes(p, 0, 10000));
  mi_free(p);
  p = (char*)mi_aligned_offset_recalloc(NULL, 10, 10, 64, 8);
  CHECK(p != NULL && is_aligned(p + 8, 64) && all_bytes(p, 0, 100));
  p = (char*)mi_aligned_offset_recalloc(p, 100, 100, 64, 8);
  CHECK(p != NULL && is_aligned(p + 8, 64) && all_bytes(p, 0, 10000));
  mi_free(p);
  void* volatile none;
  CHECK((none = mi_aligned_recalloc(NULL, HALF_COUNT, 4, 64)) == NULL);
  CHECK((none = mi_aligned_offset_recalloc(NULL, HALF_COUNT, 4, 64, 8)) == NULL);
}

static void test_environment(void) {
  setenv("CHECK_VARIABLE", "some value", 1);
  char* text = NULL;
  size_t size = 0;
  CHECK(mi_dupenv_s(&text, &size, "CHECK_VARIABLE") == 0);
  CHECK(text != NULL && strcmp(text, "some value") == 0);
  CHECK(size == strlen("some value") + 1);
  CHECK(mi_any_heap_contains(text));
  mi_free(text);
  CHECK(mi_dupenv_s(&text, NULL, "CHECK_VARIABLE") == 0);
  mi_free(text);
  CHECK(mi_dupenv_s(&text, &size, "CHECK_NO_SUCH_VARIABLE") == 0);
  CHECK(text == NULL && size == 0);
  const char* volatile no_name = NULL;
  CHECK(mi_dupenv_s(NULL, &size, "CHECK_VARIABLE") == EINVAL);
  CHECK(mi_dupenv_s(&text, &size, no_name) == EINVAL);
  wchar_t* wide = NULL;
  CHECK(mi_wdupenv_s(&wide, &size, L"CHECK_VARIABLE") == EINVAL);
  CHECK(wide == NULL);
  CHECK(mi_wdupenv_s(NULL, &size, L"CHECK_VARIABLE") == EINVAL);
}

static void test_other_strings(void) {
  wchar_t* wide = mi_wcsdup(L"wide text");
  CHECK(wide != NULL && wcscmp(wide, L"wide text") == 0);
  mi_free(wide);
  unsigned char* bytes = mi_mbsdup((const unsigned char*)"m\xC3\xBClti");
  CHECK(bytes != NULL && strcmp((const char*)bytes, "m\xC3\xBClti") == 0);
  mi_free(bytes);
  const wchar_t* volatile no_wide = NULL;
  const unsigned char* volatile no_bytes = NULL;
  CHECK(mi_wcsdup(no_wide) == NULL);
  CHECK(mi_mbsdup(no_bytes) == NULL);
}

int main(void) {
  test_free_variants();
  test_size_names();
  test_posix_memalign();
  test_memalign();
  test_valloc();
  test_reallocarray();
  test_reallocarr();
  test_aligned_recalloc();
  test_environment();
  test_other_strings();
  return check_report();
}
