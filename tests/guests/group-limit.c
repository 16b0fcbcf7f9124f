// Source: Kubernetes and Docker users of every allocator: a process is killed for memory that it has freed ("OOMKilled"). Right: in a
// control group of 128 MiB a program whose 58 MiB of blocks change their sizes, phase by phase, lives on. (With the C library it does
// up to some 70 MiB.) It makes the group for itself, needs root and the old hierarchy (cgroup v1), and starts itself again in the group.
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MIB = 1 << 20, LIMIT_MIB = 128, LIVE_MIB = 58, PHASES = 14, MOST_BLOCKS = 400000 };

static struct {
  unsigned char *start;
  size_t bytes;
} block[MOST_BLOCKS];
static size_t blocks, live;

static uint64_t next_random(void) {
  static uint64_t state = 88172645463325252u;
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return state;
}

static void add(size_t bytes) {
  unsigned char *start = malloc(bytes);
  if (start == NULL) puts("FAIL: no memory"), exit(1);
  block[blocks].start = memset(start, 1, bytes);
  block[blocks++].bytes = bytes;
  live += bytes;
}

static void drop(size_t index) {
  free(block[index].start);
  live -= block[index].bytes;
  block[index] = block[--blocks];
}

/* Fills up with blocks of other sizes in each phase, and keeps a random quarter to two thirds. */
static void work(void) {
  static const size_t least[] = {100, 3000, 20000, 400, 60000, 1000, 8000};
  static const size_t most[] = {2000, 60000, 200000, 5000, 400000, 3000, 30000};
  for (int phase = 0; phase < PHASES; phase++) {
    size_t low = least[phase % 7], range = most[phase % 7] - low;
    while (live < (size_t)LIVE_MIB * MIB && blocks < MOST_BLOCKS) add(low + next_random() % range);
    size_t kept = (size_t)LIVE_MIB * MIB / 100 * (25 + next_random() % 40);
    while (live > kept) drop(next_random() % blocks);
    usleep(20000);
  }
}

static char group[64];

static int write_to(const char *file, long value) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", group, file);
  FILE *f = fopen(path, "w");
  if (f == NULL) return 0;
  int is_done = fprintf(f, "%ld", value) > 0;
  return (fclose(f) == 0) & is_done;
}

static int skip(const char *why) {
  rmdir(group);
  printf("%s: %s\n", why, strerror(errno));
  return 77;
}

int main(int argc, char **argv) {
  if (argc > 1) return work(), 0;
  snprintf(group, sizeof group, "/sys/fs/cgroup/memory/ferrimalloc-%d", getpid());
  if (mkdir(group, 0755) != 0) return skip("no control group can be made");
  if (!write_to("memory.limit_in_bytes", (long)LIMIT_MIB * MIB)) return skip("its memory can't be limited");
  pid_t child = fork();
  if (child == 0) {
    if (!write_to("cgroup.procs", getpid())) _exit(77);
    execl("/proc/self/exe", argv[0], "work", NULL);
    _exit(77);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) return skip("nothing can be moved into the group");
  rmdir(group);
  if (WIFSIGNALED(status)) printf("FAIL: ended by signal %d\n", WTERMSIG(status));
  return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}
