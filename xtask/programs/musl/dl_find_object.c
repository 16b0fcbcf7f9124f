/* The one function of glibc's (2.35) that the unwinder of Debian's gcc asks for: the exception tables of the code at an address. */
#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/* <dlfcn.h> of glibc, on x86-64. */
struct dl_find_object {
  unsigned long long flags;
  void* map_start;
  void* map_end;
  struct link_map* link_map;
  void* eh_frame;
  unsigned long long reserved[7];
};

struct search {
  uintptr_t address;
  struct dl_find_object* result;
};

static int visit(struct dl_phdr_info* info, size_t size, void* data) {
  (void)size;
  struct search* search = data;
  void *start = NULL, *end = NULL, *eh_frame = NULL;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)* header = &info->dlpi_phdr[i];
    uintptr_t at = info->dlpi_addr + header->p_vaddr;
    if (header->p_type == PT_GNU_EH_FRAME) eh_frame = (void*)at;
    if (header->p_type == PT_LOAD && search->address - at < header->p_memsz) {
      start = (void*)at;
      end = (void*)(at + header->p_memsz);
    }
  }
  if (start == NULL || eh_frame == NULL) return 0;
  *search->result = (struct dl_find_object){.map_start = start, .map_end = end, .eh_frame = eh_frame};
  return 1;
}

int _dl_find_object(void* address, struct dl_find_object* result) {
  struct search search = {(uintptr_t)address, result};
  return dl_iterate_phdr(visit, &search) ? 0 : -1;
}

/* The unwinder asks for these by weak references, which bring nothing out of an archive. */
__attribute__((used)) static void* const needed[] = {
    pthread_once,       pthread_mutex_lock,  pthread_mutex_unlock,
    pthread_key_create, pthread_getspecific, pthread_setspecific,
};
