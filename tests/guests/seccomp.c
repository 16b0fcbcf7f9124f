// Source: OpenSSH's, Chromium's, systemd's and qemu's sandboxes: a filter of system calls that kills. Right: a program
// whose filter allows what the C library's malloc and its threads need goes on with the allocator in its place. No file
// is opened. With the argument "small" the filter allows less, what is enough for blocks below 128 KiB in one thread;
// with "one-thread" the same for large ones (of the C library, when it is told not to map each; of ours, when it is
// told by MIMALLOC_PURGE_DELAY=-1 and MIMALLOC_ALLOW_THP=0 not to give memory back and advise the system).
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ALLOW(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* of malloc and free in one thread; for this program's own messages and end */
#define IN_ONE_THREAD                                                                                    \
  ALLOW(brk), ALLOW(mmap), ALLOW(munmap), ALLOW(mprotect), ALLOW(write), ALLOW(exit_group), ALLOW(exit), \
      ALLOW(clock_nanosleep)
/* of malloc and free with threads; of threads */
#define IN_THREADS                                                                                         \
  ALLOW(mremap), ALLOW(madvise), ALLOW(futex), ALLOW(getrandom), ALLOW(clone3), ALLOW(clone), ALLOW(rseq), \
      ALLOW(set_robust_list), ALLOW(rt_sigprocmask), ALLOW(rt_sigreturn), ALLOW(rt_sigaction)

static int sandbox(int tight) {
  struct sock_filter wide[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)), IN_ONE_THREAD,
                               IN_THREADS, BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)};
  struct sock_filter narrow[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)), IN_ONE_THREAD,
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)};
  struct sock_fprog filter = {sizeof wide / sizeof *wide, wide};
  if (tight) filter = (struct sock_fprog){sizeof narrow / sizeof *narrow, narrow};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 1;
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

static void say(const char *text) {
  if (write(1, text, strlen(text)) < 0) _exit(9);
}

enum { BLOCKS = 4000 };
static char *shared[BLOCKS];

static int allocate(size_t most) {
  for (int i = 0; i < BLOCKS; i++) {
    size_t bytes = 1 + (size_t)i * i % most;
    free(shared[i]);
    shared[i] = i % 3 ? malloc(bytes) : calloc(1, bytes);
    if (!shared[i]) return say("FAIL malloc\n"), 0;
    memset(shared[i], i, bytes);
    if (i % 5 == 0 && !(shared[i] = realloc(shared[i], bytes + bytes / 2))) return say("FAIL realloc\n"), 0;
  }
  return 1;
}

static void release(void) {
  for (int i = 0; i < BLOCKS; i++) free(shared[i]), shared[i] = NULL;
}

static void *thread(void *name) {
  char *mine[300];
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 300; i++) {
      mine[i] = malloc(1 + i * (long)name * 97 % 70000);
      if (!mine[i]) return say("FAIL malloc in a thread\n"), name;
      mine[i][0] = 1;
    }
    for (int i = 0; i < 300; i++) free(mine[i]);
  }
  /* blocks of another thread */
  for (int i = (long)name; i < BLOCKS; i += 4) free(shared[i]), shared[i] = NULL;
  return NULL;
}

static int in_threads(void) {
  int bad = 0;
  for (int round = 0; round < 4; round++) {
    pthread_t threads[4];
    if (!allocate(40000)) return 1;
    for (long i = 0; i < 4; i++) {
      if (pthread_create(&threads[i], NULL, thread, (void *)i)) return say("FAIL pthread_create\n"), 1;
    }
    for (int i = 0; i < 4; i++) {
      void *result;
      pthread_join(threads[i], &result);
      bad |= result != NULL;
    }
  }
  return bad;
}

/* Two blocks grow in turns, so that each has to move. */
static int large(size_t most) {
  char *blocks[2] = {NULL, NULL};
  for (size_t bytes = 100000; bytes < most; bytes *= 2) {
    for (int i = 0; i < 2; i++) {
      blocks[i] = realloc(blocks[i], bytes);
      if (!blocks[i]) return say("FAIL large realloc\n"), 1;
      memset(blocks[i] + bytes / 2, 1, bytes / 2);
    }
  }
  for (int i = 0; i < 2; i++) free(blocks[i]);
  void *aligned;
  if (posix_memalign(&aligned, 1 << 20, 3 << 20)) return say("FAIL posix_memalign\n"), 1;
  free(aligned);
  return 0;
}

int main(int count, char **arguments) {
  int small = count > 1 && strcmp(arguments[1], "small") == 0, tight = count > 1, bad = 0;
  /* else glibc opens files: to count processors, and to ask how the system commits memory */
  mallopt(M_ARENA_MAX, 4);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_MMAP_THRESHOLD, tight ? 30 << 20 : 128 << 10);
  if (tight) free(malloc(1000));
  if (sandbox(tight)) return say("no filter\n"), 77;
  if (!allocate(small ? 3000 : 300000)) return 1;
  if (!small) bad = large(tight ? 20 << 20 : 200 << 20);
  if (!tight) bad |= in_threads();
  release();
  /* what is put off for a second */
  struct timespec second = {1, 200000000};
  nanosleep(&second, NULL);
  if (!allocate(2000)) return 1;
  release();
  if (!bad) say("done\n");
  return bad;
}
