/* The catalogue of attacks: what a program with a memory error does to itself under the levels in the environment.
 *
 * `attacks` runs each attack in a child and prints a line with its name and how it ended:
 *   ended     the library reported the error and ended the process (SIGABRT, or the trap instruction of a failed check)
 *   faulted   SIGSEGV or SIGBUS
 *   harmless  the attack went on, and had no effect that it was meant to have (which the attack looks for)
 *   unnoticed it had that effect, or nobody knows
 *   absent    the library has no such function
 *   hung      it took longer than 20 seconds
 * `attacks NAME` runs one, here. The stage `attacks` knows what is due at which level; `cargo xtask attacks` runs them
 * under other allocators. `attacks --pair FROM TO` prints the nanoseconds of a `free` and a `malloc` of FROM to TO bytes.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <cwchar>
#include <functional>
#include <initializer_list>
#include <new>
#include <set>
#include <string>
#include <vector>

using std::size_t;
typedef volatile unsigned char Byte;

/* What an attack answers when it has not been ended. */
enum Effect { HARMLESS = 3, UNNOTICED = 4, ABSENT = 5 };
enum { MANY = 9000 };

static Effect effect_if(bool has_effect) { return has_effect ? UNNOTICED : HARMLESS; }

static Byte* get(size_t size) { return static_cast<Byte*>(malloc(size)); }
static void drop(Byte* p) { free(const_cast<unsigned char*>(p)); }

template <class F> static void elsewhere(F run) {
  std::function<void()> work = run;
  auto start = [](void* arg) -> void* {
    (*static_cast<std::function<void()>*>(arg))();
    return nullptr;
  };
  pthread_t thread;
  if (pthread_create(&thread, nullptr, start, &work) == 0) pthread_join(thread, nullptr);
}

/* How many allocations use every free block of a size again. */
static int enough(size_t size) { return size <= 2000 ? MANY : size < 600000 ? 400 : 100; }

/* Memory that is nobody's to hand out. Where it is, the attack has won, and nothing that happens later counts. */
static Byte in_static_memory[4096];

static Byte* get_and_look(size_t size) {
  Byte* p = get(size);
  if (p >= in_static_memory && p < in_static_memory + sizeof in_static_memory) _exit(UNNOTICED);
  return p;
}

/* Allocates and frees, so that quarantines end: again and again, since what is used next is drawn at random, and hardened_malloc's has
   room for some 8000 blocks of 24 bytes. */
static void churn(size_t size) {
  for (int round = 0; round < 20; round++) {
    std::vector<Byte*> blocks;
    for (int i = 0; i < (size <= 2000 ? 3000 : 150); i++) blocks.push_back(get_and_look(size));
    for (Byte* p : blocks) drop(p);
  }
}

/* Whether a block is handed out twice, or one that overlaps another, or one that is in use. Between allocations every second
 * block is freed: some allocators use a page again only when enough of it is free. */
static bool hands_out_twice(size_t size, std::initializer_list<void*> in_use = {}) {
  std::set<uintptr_t> blocks;
  for (void* p : in_use) blocks.insert(reinterpret_cast<uintptr_t>(p));
  for (int round = 0; round < 3; round++) {
    std::vector<Byte*> ours;
    for (int i = 0; i < enough(size); i++) {
      Byte* block = get(size);
      uintptr_t p = reinterpret_cast<uintptr_t>(block);
      auto after = blocks.lower_bound(p);
      if (after != blocks.end() && *after < p + (size ? size : 1)) return true;
      if (after != blocks.begin() && *--after + size > p) return true;
      blocks.insert(p);
      ours.push_back(block);
    }
    for (size_t i = 0; i < ours.size(); i += 2) blocks.erase(reinterpret_cast<uintptr_t>(ours[i])), drop(ours[i]);
  }
  return false;
}

/* A block that follows another one, which stays in use, in its page. */
static Byte* second_of_two(size_t size, Byte** first = nullptr) {
  std::set<uintptr_t> blocks;
  for (int i = 0; i < 64; i++) blocks.insert(reinterpret_cast<uintptr_t>(get(size)));
  uintptr_t best = SIZE_MAX, before = 0, chosen = 0;
  for (uintptr_t p : blocks) {
    if (before && p - before < best) best = p - before, chosen = p;
    before = p;
  }
  if (first) *first = reinterpret_cast<Byte*>(chosen - best);
  return reinterpret_cast<Byte*>(chosen);
}

/* A block with memory behind it that can be accessed: another block's. Of large ones, which may lie at the end of a mapping, the first of
 * the nearest two. */
static Byte* before_another(size_t size) {
  Byte* first = size > 500000 ? nullptr : get(size);
  if (first) get(size);
  else second_of_two(size, &first);
  return first;
}

struct Attack {
  std::string name;
  std::function<Effect()> run;
};
static std::vector<Attack> attacks;
static void add(const std::string& name, std::function<Effect()> run) { attacks.push_back({name, run}); }

static std::string named(const char* name, size_t size) { return std::string(name) + " " + std::to_string(size); }

static Effect overflow(size_t size, size_t bytes) {
  Byte* p = before_another(size);
  for (size_t at = 0; at < bytes; at++) p[size + at] ^= 0x21;
  drop(p);
  return UNNOTICED;
}

static Effect underflow(size_t size, size_t bytes) {
  Byte* p = second_of_two(size);
  for (size_t at = 1; at <= bytes; at++) p[-static_cast<ptrdiff_t>(at)] ^= 0x21;
  drop(p);
  return UNNOTICED;
}

static void overflows() {
  for (size_t size : {1, 24, 100, 1000, 5000, 100000, 1 << 20, 3 << 20})
    add(named("overflow by 1 byte of", size), [=] { return overflow(size, 1); });
  for (size_t size : {24, 100, 1000, 1 << 20})
    add(named("overflow by memcpy of 12 bytes of", size), [=] {
      char bytes[12];
      memset(bytes, 'x', sizeof bytes);
      Byte* p = before_another(size);
      memcpy(const_cast<unsigned char*>(p) + size, bytes, sizeof bytes);
      drop(p);
      return UNNOTICED;
    });
  add("overflow by strcpy's zero of 100", [] {
    Byte* p = get(100);
    std::string text(100, 'x');
    strcpy(reinterpret_cast<char*>(const_cast<unsigned char*>(p)), text.c_str());
    drop(p);
    return UNNOTICED;
  });
  add("overflow found by realloc in place", [] {
    Byte* p = get(100);
    p[100] ^= 1;
    return realloc(const_cast<unsigned char*>(p), 104) ? UNNOTICED : HARMLESS;
  });
  add("overflow found by realloc that moves", [] {
    Byte* p = get(100);
    p[100] ^= 1;
    return realloc(const_cast<unsigned char*>(p), 5000) ? UNNOTICED : HARMLESS;
  });
  add("overflow found by another thread's free", [] {
    Byte* p = get(100);
    p[100] ^= 1;
    elsewhere([=] { drop(p); });
    return UNNOTICED;
  });
  add("overflow of an aligned block", [] {
    void* p = nullptr;
    if (posix_memalign(&p, 64, 100)) return HARMLESS;
    static_cast<Byte*>(p)[100] ^= 1;
    free(p);
    return UNNOTICED;
  });
  for (size_t size : {24, 100, 1000, 5000})
    add(named("underflow by 1 byte of", size), [=] { return underflow(size, 1); });
  add("underflow by 8 bytes of 100", [] { return underflow(100, 8); });
  add("underflow into a free block", [] {
    Byte *first, *p = second_of_two(100, &first);
    drop(first);
    p[-1] ^= 0x21;
    drop(p);
    return UNNOTICED;
  });
  add("underflow found by another thread's free", [] {
    Byte* p = second_of_two(100);
    p[-1] ^= 0x21;
    elsewhere([=] { drop(p); });
    return UNNOTICED;
  });
}

static void requests_for_nothing() {
  add("read of malloc(0)", [] { return get(0)[0] == 77 ? HARMLESS : UNNOTICED; });
  add("write to malloc(0)", [] { return get(0)[0] = 1, UNNOTICED; });
  add("write to calloc(0, 8)", [] { return static_cast<Byte*>(calloc(0, 8))[0] = 1, UNNOTICED; });
  add("write after realloc(p, 0)", [] { return static_cast<Byte*>(realloc(malloc(100), 0))[0] = 1, UNNOTICED; });
  add("double free of malloc(0)", [] {
    Byte* p = get(0);
    drop(p), drop(p);
    return effect_if(hands_out_twice(0));
  });
}

static void double_frees() {
  for (size_t size : {24, 100, 1000, 5000, 100000, 1 << 20})
    add(named("double free at once of", size), [=] {
      Byte *p = get(size), *stays = get(size);
      drop(p), drop(p);
      drop(stays);
      return effect_if(hands_out_twice(size));
    });
  add("double free with another block between", [] {
    Byte *p = get(100), *q = get(100);
    drop(p), drop(q), drop(p);
    return effect_if(hands_out_twice(100));
  });
  add("double free much later", [] {
    std::vector<Byte*> blocks;
    for (int i = 0; i < 30; i++) blocks.push_back(get(100));
    for (Byte* p : blocks) drop(p);
    drop(blocks[3]);
    return effect_if(hands_out_twice(100));
  });
  add("double free, here and by another thread", [] {
    Byte* p = get(100);
    drop(p);
    elsewhere([=] { drop(p); });
    return effect_if(hands_out_twice(100));
  });
  add("double free by another thread and here", [] {
    Byte* p = get(100);
    elsewhere([=] { drop(p); });
    drop(p);
    return effect_if(hands_out_twice(100));
  });
  add("double free by two other threads", [] {
    Byte* p = get(100);
    for (int i = 0; i < 2; i++) elsewhere([=] { drop(p); });
    return effect_if(hands_out_twice(100));
  });
  for (int between : {1, 30})
    add(named("double free, allocations between:", between), [=] {
      Byte* p = get(100);
      drop(p);
      for (int i = 0; i < between; i++) get(100);
      drop(p);
      return effect_if(hands_out_twice(100));
    });
  add("double free of an aligned block", [] {
    void* p = nullptr;
    if (posix_memalign(&p, 256, 100)) return HARMLESS;
    free(p), free(p);
    return effect_if(hands_out_twice(200));
  });
  add("free after realloc has moved the block", [] {
    void* p = malloc(100);
    void* q = realloc(p, 50000);
    free(p);
    return effect_if(q != p && hands_out_twice(100));
  });
  add("realloc of a freed block", [] {
    void* p = malloc(100);
    free(p);
    void* q = realloc(p, 105);
    return effect_if(q && hands_out_twice(100, {q}));
  });
  add("malloc_usable_size of a freed block", [] {
    void* p = malloc(100);
    free(p);
    return effect_if(malloc_usable_size(p) > 0);
  });
  add("double free in the child of a fork", [] {
    Byte* p = get(100);
    pid_t child = fork();
    if (child == 0) {
      drop(p), drop(p);
      _exit(effect_if(hands_out_twice(100)));
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) raise(WTERMSIG(status));
    return static_cast<Effect>(WEXITSTATUS(status));
  });
  add("double free after the page has gone", [] {
    std::vector<Byte*> blocks;
    for (int i = 0; i < 5000; i++) blocks.push_back(get(700));
    for (Byte* p : blocks) drop(p);
    malloc_trim(0);
    drop(blocks[2500]);
    return effect_if(hands_out_twice(700));
  });
}

/* Whether memory near an address, which is nobody's to give, is handed out. */
static bool hands_out(void* wrong) {
  for (size_t size : {8, 24, 100, 500, 1000})
    for (int i = 0; i < 2000; i++)
      if (reinterpret_cast<uintptr_t>(get(size)) - reinterpret_cast<uintptr_t>(wrong) + 4096 < 8192) return true;
  return false;
}

static void wrong_frees() {
  struct Wrong { const char* name; std::function<void*()> make; };
  const Wrong wrongs[] = {
    {"the stack", [] { static thread_local uintptr_t* leaked; uintptr_t words[64]; leaked = words + 8; return static_cast<void*>(leaked); }},
    {"static memory", [] { return const_cast<unsigned char*>(in_static_memory) + 64; }},
    {"code", [] { return reinterpret_cast<void*>(&overflow); }},
    {"a wild address", [] { return reinterpret_cast<void*>(0x12345670); }},
    {"a non-canonical address", [] { return reinterpret_cast<void*>(0xdeadbeefdeadbee0); }},
    {"the first OS page", [] { return reinterpret_cast<void*>(0x10); }},
    {"a mapping of the program's", [] { return static_cast<char*>(mmap(nullptr, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) + 16; }},
    {"the environment", [] { return static_cast<void*>(getenv("PATH")); }},
  };
  for (const Wrong& wrong : wrongs) {
    add(std::string("free of ") + wrong.name, [=] {
      void* p = wrong.make();
      free(p);
      return effect_if(hands_out(p));
    });
  }
  add("free of the stack by another thread", [] {
    uintptr_t words[64];
    elsewhere([&] { free(words + 8); });
    return effect_if(hands_out(words + 8));
  });
  add("realloc of the stack", [] {
    uintptr_t words[64];
    return realloc(words + 8, 100) ? UNNOTICED : HARMLESS;
  });
  for (int distance : {1, 8, 16, 48})
    add(named("free of an address inside a block, at", distance), [=] {
      Byte* p = get(100);
      drop(p + distance);
      return effect_if(hands_out_twice(100, {const_cast<unsigned char*>(p)}));
    });
  add("free of an address inside a block, by another thread", [] {
    Byte* p = get(100);
    elsewhere([=] { drop(p + 16); });
    return effect_if(hands_out_twice(100, {const_cast<unsigned char*>(p)}));
  });
  add("free of an address inside a block of 1 MiB", [] { return drop(get(1 << 20) + 4096), HARMLESS; });
  add("free of an address 16 before a block", [] {
    Byte *first, *second = second_of_two(100, &first);
    drop(second - 16);
    return effect_if(hands_out_twice(100, {const_cast<unsigned char*>(first), const_cast<unsigned char*>(second)}));
  });
  add("realloc of an address inside a block", [] {
    Byte* p = get(100);
    return effect_if(realloc(const_cast<unsigned char*>(p) + 16, 40) != nullptr);
  });
}

/* Two bytes of the secret side by side: one may be chance, in what an allocator writes there. */
static bool shows_secret(Byte* p, size_t size) {
  for (size_t at = 1; at < size; at++)
    if (p[at - 1] == 0x5e && p[at] == 0x5e) return true;
  return false;
}

static void use_after_free() {
  for (size_t size : {24, 100, 1000, 5000})
    add(named("write after free to a block of", size), [=] {
      Byte *p = get(size), *stays = get(size);
      drop(p);
      p[size / 2] = 0x41;
      churn(size);
      for (int i = 0; i < enough(size); i++) get(size);
      drop(stays);
      return UNNOTICED;
    });
  add("write of a link to a freed block", [] {
    Byte *p = get(100), *q = get(100);
    drop(q), drop(p);
    *reinterpret_cast<volatile uintptr_t*>(p) = reinterpret_cast<uintptr_t>(in_static_memory) + 256;
    churn(100);
    for (int i = 0; i < enough(100); i++) get_and_look(100);
    return HARMLESS;
  });
  add("write after free by another thread", [] {
    Byte *p = get(100), *stays = get(100);
    elsewhere([=] { drop(p); });
    p[50] = 0x41;
    churn(100);
    for (int i = 0; i < enough(100); i++) get(100);
    drop(stays);
    return UNNOTICED;
  });
  for (size_t size : {24, 100, 5000, 1 << 20})
    add(named("read of a secret after free, of", size), [=] {
      Byte *p = get(size), *stays = get(size);
      for (size_t at = 0; at < size; at++) p[at] = 0x5e;
      drop(p);
      bool is_there = shows_secret(p, size);
      drop(stays);
      return effect_if(is_there);
    });
  for (size_t size : {100, 5000})
    add(named("read of a secret in fresh memory, of", size), [=] {
      std::vector<Byte*> blocks;
      for (int i = 0; i < (size > 1000 ? 150 : 3000); i++) blocks.push_back(get(size));
      for (Byte* p : blocks)
        for (size_t at = 0; at < size; at++) p[at] = 0x5e;
      for (Byte* p : blocks) drop(p);
      for (int i = 0; i < enough(size); i++)
        if (shows_secret(get(size), size)) return UNNOTICED;
      return HARMLESS;
    });
  add("the next block of the size is the one just freed", [] {
    int hits = 0;
    std::vector<Byte*> blocks;
    for (int i = 0; i < 2000; i++) blocks.push_back(get(100));
    for (int i = 0; i < 1000; i++) {
      Byte* p = blocks[i];
      drop(p);
      blocks[i] = get(100);
      hits += blocks[i] == p;
    }
    return effect_if(hits > 60);
  });
  add("blocks allocated together lie in order", [] {
    int ascending = 0;
    Byte* before = get(48);
    for (int i = 0; i < 100; i++) {
      Byte* p = get(48);
      ascending += p > before;
      before = p;
    }
    return effect_if(ascending > 80);
  });
}

/* With every allocation of this thread guarded, where the library can do that. Others are tried as they are. */
template <class F> static void guarded(F run) {
  typedef void* (*Default)();
  typedef void (*SetRate)(void*, size_t, size_t);
  Default get_default = reinterpret_cast<Default>(dlsym(RTLD_DEFAULT, "mi_theap_get_default"));
  SetRate set_rate = reinterpret_cast<SetRate>(dlsym(RTLD_DEFAULT, "mi_theap_guarded_set_sample_rate"));
  bool can = get_default && set_rate;
  if (can) set_rate(get_default(), 1, 0);
  run();
  if (can) set_rate(get_default(), 0, 0);
}

static Byte* get_guarded(size_t size) {
  Byte* p = nullptr;
  guarded([&] { p = get(size); });
  return p;
}

/* Blocks of the size, guarded, that are freed. */
static void drop_others(size_t size, int count) {
  for (int i = 0; i < count; i++) drop(get_guarded(size));
}

/* What a guard is for: the first access faults. Blocks lie at either end of their OS pages, so that it takes some. */
static void guarded_blocks() {
  add("overflow of guarded blocks by 1 byte of 112", [] {
    std::vector<Byte*> blocks;
    for (int i = 0; i < 64; i++) blocks.push_back(get_guarded(112));
    for (Byte* p : blocks) p[112] ^= 0x21;
    return UNNOTICED;
  });
  add("underflow of guarded blocks by 1 byte of 112", [] {
    std::vector<Byte*> blocks;
    for (int i = 0; i < 64; i++) blocks.push_back(get_guarded(112));
    for (Byte* p : blocks) p[-1] ^= 0x21;
    return UNNOTICED;
  });
  for (size_t size : {24, 100, 5000, 1 << 20})
    add(named("read of a guarded block after its free, of", size), [=] {
      Byte* p = get_guarded(size);
      for (size_t at = 0; at < size; at++) p[at] = 0x5e;
      drop(p);
      drop_others(size, 10);
      return effect_if(shows_secret(p, size));
    });
  add("write to a guarded block after its free, of 100", [] {
    Byte* p = get_guarded(100);
    drop(p);
    drop_others(100, 10);
    p[50] = 0x41;
    return UNNOTICED;
  });
  add("read of a guarded block after another thread's free", [] {
    Byte* p = get_guarded(100);
    for (int at = 0; at < 100; at++) p[at] = 0x5e;
    elsewhere([=] { drop(p); });
    return effect_if(shows_secret(p, 100));
  });
  add("read of a guarded block after realloc has moved it", [] {
    Byte* p = get_guarded(100);
    for (int at = 0; at < 100; at++) p[at] = 0x5e;
    void* q = realloc(const_cast<unsigned char*>(p), 9000);
    return effect_if(q != p && shows_secret(p, 100));
  });
  add("double free of a guarded block after other frees", [] {
    Byte* p = get_guarded(100);
    drop(p);
    drop_others(100, 10);
    drop(p);
    return effect_if(hands_out_twice(100));
  });
}

static void absurd_sizes() {
  volatile size_t half = SIZE_MAX / 2;
  add("calloc whose product wraps", [=] { return calloc(half, 3) ? UNNOTICED : HARMLESS; });
  add("reallocarray whose product wraps", [=] { return reallocarray(malloc(10), half, 3) ? UNNOTICED : HARMLESS; });
  add("malloc of more than PTRDIFF_MAX", [=] { return malloc(half + 100) ? UNNOTICED : HARMLESS; });
  add("aligned_alloc to no power of two", [] {
    volatile size_t align = 48;
    return aligned_alloc(align, 480) ? UNNOTICED : HARMLESS;
  });
  add("posix_memalign whose sum wraps", [=] {
    void* p = nullptr;
    return posix_memalign(&p, 4096, SIZE_MAX - 100) == 0 ? UNNOTICED : HARMLESS;
  });
}

template <class F> static F function(const char* name) { return reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name)); }

static void mismatches() {
  typedef void (*Sized)(void*, size_t);
  typedef void (*AlignedSized)(void*, size_t, size_t);
  add("delete with a size too small", [] { return ::operator delete(::operator new(100), size_t{40}), UNNOTICED; });
  add("delete with a size too large", [] { return ::operator delete(::operator new(100), size_t{101}), UNNOTICED; });
  add("delete[] with a wrong size", [] { return ::operator delete[](::operator new[](100), size_t{48}), UNNOTICED; });
  add("delete with a wrong size and an alignment", [] {
    return ::operator delete(::operator new(128, std::align_val_t{64}), size_t{64}, std::align_val_t{64}), UNNOTICED;
  });
  add("delete with a wrong alignment", [] {
    Byte *first, *p = second_of_two(16, &first);
    Byte* odd = reinterpret_cast<uintptr_t>(p) % 1024 ? p : first;
    return ::operator delete(const_cast<unsigned char*>(odd), std::align_val_t{1024}), UNNOTICED;
  });
  for (const char* name : {"free_sized", "mi_free_size"})
    add(std::string(name) + " with a wrong size", [=] {
      Sized free_sized = function<Sized>(name);
      if (!free_sized) return ABSENT;
      return free_sized(malloc(100), 60), UNNOTICED;
    });
  add("free_aligned_sized with a wrong size", [] {
    AlignedSized free_sized = function<AlignedSized>("free_aligned_sized");
    if (!free_sized) return ABSENT;
    return free_sized(aligned_alloc(64, 128), 64, 64), UNNOTICED;
  });
  add("mi_free_size_aligned with a wrong alignment", [] {
    Byte *first, *p = second_of_two(16, &first);
    Byte* odd = reinterpret_cast<uintptr_t>(p) % 1024 ? p : first;
    AlignedSized free_sized = function<AlignedSized>("mi_free_size_aligned");
    if (!free_sized) return ABSENT;
    return free_sized(const_cast<unsigned char*>(odd), 16, 1024), UNNOTICED;
  });
  add("delete with a size of another class", [] { return ::operator delete(::operator new(1000), size_t{100}), UNNOTICED; });
  add("free_sized with a size of another class", [] {
    Sized free_sized = function<Sized>("free_sized");
    if (!free_sized) return ABSENT;
    return free_sized(malloc(100), 20), UNNOTICED;
  });
  add("delete[] of new", [] {
    void* volatile p = ::operator new(100);
    return ::operator delete[](p), UNNOTICED;
  });
  add("free of a block of a destroyed heap", [] {
    typedef void* (*New)();
    typedef void* (*Get)(void*, size_t);
    typedef void (*End)(void*);
    New make = function<New>("mi_heap_new");
    Get get_in = function<Get>("mi_heap_malloc");
    End destroy = function<End>("mi_heap_destroy");
    if (!make || !get_in || !destroy) return ABSENT;
    void* heap = make();
    void* p = get_in(heap, 100);
    destroy(heap);
    free(p);
    return effect_if(hands_out_twice(100));
  });
}

static char* text(size_t size) {
  char* p = static_cast<char*>(malloc(size));
  memset(p, 'x', size);
  return p;
}

/* A text like `text`, with another block behind it: not memory that is not accessible yet. */
static char* text_before_another(size_t size) {
  Byte* first = nullptr;
  second_of_two(size, &first);
  char* filled = text(size);
  memcpy((char*)first, filled, size);
  free(filled);
  return (char*)first;
}

/* Copies whose length is wrong: they reach `beyond` bytes behind a block of `size` bytes. */
static void wrong_copies() {
  struct Size { size_t size, beyond; };
  for (Size it : {Size{24, 24}, {100, 1}, {100, 100}, {1000, 200}, {5000, 1000}, {100000, 16384}, {1 << 20, 70000}, {3 << 20, 70000}})
    add("memcpy to " + std::to_string(it.size) + " of " + std::to_string(it.beyond) + " more", [=] {
      char *from = text(it.size + it.beyond), *to = text_before_another(it.size), *stays = text(it.size);
      memcpy(to, from, it.size + it.beyond);
      free(to);
      free(stays);
      return UNNOTICED;
    });
  static char target[8 << 20];
  for (Size it : {Size{100, 100}, {5000, 1000}, {1 << 20, 70000}})
    add("memcpy from " + std::to_string(it.size) + " of " + std::to_string(it.beyond) + " more", [=] {
      char* from = text_before_another(it.size);
      memcpy(target, from, it.size + it.beyond);
      free(from);
      return UNNOTICED;
    });
  add("memcpy to the inside of 3 MiB, beyond its end", [] {
    char *from = text(2 << 20), *before = text(3 << 20), *to = text(3 << 20), *after = text(3 << 20);
    memcpy(to + (2 << 20), from, (1 << 20) + 70000);
    free(to), free(before), free(after);
    return UNNOTICED;
  });
  add("memcpy to another thread's block, beyond its end", [] {
    char *from = text(200), *to = nullptr;
    elsewhere([&] { to = text(100), text(100); });
    memcpy(to, from, 200);
    free(to);
    return UNNOTICED;
  });
  struct Copy { const char* name; std::function<void(char* to, const char* from)> run; };
  const Copy copies[] = {
    {"memmove", [](char* to, const char* from) { memmove(to, from, 201); }},
    {"mempcpy", [](char* to, const char* from) { mempcpy(to, from, 201); }},
    {"memset", [](char* to, const char*) { memset(to, 'y', 201); }},
    {"strcpy", [](char* to, const char* from) { strcpy(to, from); }},
    {"stpcpy", [](char* to, const char* from) { stpcpy(to, from); }},
    {"strncpy", [](char* to, const char* from) { strncpy(to, from, 201); }},
    {"strcat", [](char* to, const char* from) { *to = 0, strcat(to, from); }},
    {"strncat", [](char* to, const char* from) { *to = 0, strncat(to, from, 200); }},
    {"wmemcpy", [](char* to, const char* from) { wmemcpy(reinterpret_cast<wchar_t*>(to), reinterpret_cast<const wchar_t*>(from), 50); }},
    {"__memcpy_chk", [](char* to, const char* from) { function<void* (*)(void*, const void*, size_t, size_t)>("__memcpy_chk")(to, from, 201, 300); }},
    {"__strcpy_chk", [](char* to, const char* from) { function<char* (*)(char*, const char*, size_t)>("__strcpy_chk")(to, from, 300); }},
  };
  for (const Copy& copy : copies)
    add(std::string(copy.name) + " of 100 more", [=] {
      char *from = text(201), *to = text(100), *stays = text(100);
      from[200] = 0;
      copy.run(to, from);
      free(to);
      free(stays);
      return UNNOTICED;
    });
  add("strcpy of a string without an end", [] {
    char *from = text(112), *stays = text(112), *to = text(5000);
    strcpy(to, from);
    free(to), free(from), free(stays);
    return UNNOTICED;
  });
  add("strcat to a string without an end", [] {
    // A canary is random, and may end the string: two that don't, as the blocks may be neighbours. Half of it is the page's, so
    // that it may take another page.
    auto endless = [] {
      char *p = text(112);
      for (int tries = 0; tries < 4000 && strnlen(p, 128) < 128; tries++) p = text(112);
      return p;
    };
    char *to = endless(), *stays = endless();
    strcat(to, "abc");
    free(to), free(stays);
    return UNNOTICED;
  });
  add("memcpy to a freed block", [] {
    char *from = text(100), *to = text(100), *stays = text(100);
    free(to);
    memcpy(to, from, 100);
    free(stays);
    return UNNOTICED;
  });
  add("memcpy from a freed block", [] {
    char *from = text(100), *stays = text(100);
    free(from);
    memcpy(target, from, 100);
    free(stays);
    return UNNOTICED;
  });
}

/* Copies that are right, of which nobody may complain: to the last byte of blocks of all sizes, and inside of them. */
static void right_copies() {
  add("right copies to the ends of blocks", [] {
    for (size_t size = 1; size < (9 << 20); size += size / 7 + 1) {
      char *from = text(size), *to = text(size), *aligned = static_cast<char*>(aligned_alloc(64, (size + 63) / 64 * 64));
      memset(to, 0, malloc_usable_size(to));
      memcpy(to, from, size);
      memcpy(to, from + size, 0);
      for (size_t at = 0; at < size; at += size / 5 + 1) memmove(aligned + at, to + at, size - at);
      if (memcmp(from, aligned, size)) return UNNOTICED;
      to[size - 1] = 0;
      strcpy(from, to), strncpy(from, to, size), from[0] = 0, strncat(from, to, size);
      if (strlen(from) != size - 1) return UNNOTICED;
      free(from), free(to), free(aligned);
    }
    return HARMLESS;
  });
}

static int run_here(const std::string& name) {
  for (const Attack& attack : attacks)
    if (attack.name == name) return attack.run();
  return 2;
}

static const char* ending(const Attack& attack) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    int null = open("/dev/null", O_WRONLY);
    if (null >= 0 && !getenv("ATTACKS_VERBOSE")) dup2(null, 2);
    alarm(20);
    _exit(attack.run());
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    int by = WTERMSIG(status);
    if (by == SIGABRT || by == SIGILL || by == SIGTRAP) return "ended";
    return by == SIGSEGV || by == SIGBUS ? "faulted" : by == SIGALRM ? "hung" : "lost";
  }
  switch (WEXITSTATUS(status)) {
    case HARMLESS: return "harmless";
    case UNNOTICED: return "unnoticed";
    case ABSENT: return "absent";
    default: return "lost";
  }
}

/* What a level costs: 1000 live blocks, of which one at random is replaced, the least of several times. */
static void time_pairs(size_t from, size_t to) {
  enum { LIVE = 1000, PAIRS = 300000, ROUNDS = 9 };
  std::vector<void*> live(LIVE);
  uint64_t random = 1;
  auto next = [&] { return random = random * 6364136223846793005u + 1442695040888963407u, random >> 33; };
  auto size = [&] { return from + next() % (to - from + 1); };
  for (void*& p : live) p = malloc(size());
  uint64_t least = UINT64_MAX;
  for (int round = 0; round < ROUNDS; round++) {
    timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < PAIRS; i++) {
      void*& p = live[next() % LIVE];
      free(p);
      p = malloc(size());
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    least = std::min(least, (end.tv_sec - begin.tv_sec) * uint64_t{1000000000} + end.tv_nsec - begin.tv_nsec);
  }
  printf("%.1f\n", static_cast<double>(least) / PAIRS);
}

int main(int argc, char** argv) {
  overflows();
  requests_for_nothing();
  double_frees();
  wrong_frees();
  use_after_free();
  guarded_blocks();
  absurd_sizes();
  mismatches();
  wrong_copies();
  right_copies();
  if (argc == 4 && !strcmp(argv[1], "--pair")) return time_pairs(atoi(argv[2]), atoi(argv[3])), 0;
  if (argc > 1) return run_here(argv[1]);
  for (const Attack& attack : attacks) printf("%s: %s\n", attack.name.c_str(), ending(attack));
  return 0;
}
