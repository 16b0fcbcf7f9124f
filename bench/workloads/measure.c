// `measure RESULT PRELOAD PROGRAM [ARGUMENT]...` runs one program with an engine preloaded and writes what it cost.
//
// A small static program does the measuring, because Linux starts a child's peak RSS at its parent's: measured from the
// runner itself, every peak would be at least the runner's own. PRELOAD may be "-" for none. RESULT receives lines
// `name=value`; the exit status is the program's.
//
// MEASURE_LIMIT_KIB is a guard for the machine: the program is killed when its resident memory with its page tables is
// more. A limit on address space would not do: the largest workload reserves 512 GiB of addresses.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_micros(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static long long micros(struct timeval t) { return t.tv_sec * 1000000LL + t.tv_usec; }

static void become(const char *preload, char **command) {
    if (strcmp(preload, "-") != 0) setenv("LD_PRELOAD", preload, 1);
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

static void report(FILE *out, long long wall, const struct rusage *used) {
    fprintf(out, "wall_us=%lld\nuser_us=%lld\nsystem_us=%lld\n", wall, micros(used->ru_utime), micros(used->ru_stime));
    fprintf(out, "peak_rss_kib=%ld\nminor_faults=%ld\n", used->ru_maxrss, used->ru_minflt);
    fprintf(out, "voluntary_switches=%ld\ninvoluntary_switches=%ld\n", used->ru_nvcsw, used->ru_nivcsw);
}

static int exit_status(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

// --- the guard ------------------------------------------------------------------------------------------------------

enum { LOOKS_PER_SECOND = 25 };

static long kib_of_line(const char *text, const char *name) {
    const char *line = strstr(text, name);
    return line == NULL ? 0 : atol(line + strlen(name));
}

static long used_kib(pid_t child) {
    char name[64], text[4096] = {0};
    snprintf(name, sizeof name, "/proc/%d/status", (int)child);
    int file = open(name, O_RDONLY);
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
    close(file);
    return kib_of_line(text, "VmRSS:") + kib_of_line(text, "VmPTE:");
}

// SIGCHLD is blocked; returns when the child has ended, or has been killed for what it used.
static void watch(pid_t child, long limit_kib, const sigset_t *ended) {
    struct timespec pause = {0, 1000000000L / LOOKS_PER_SECOND};
    while (sigtimedwait(ended, NULL, &pause) < 0) {
        long used = used_kib(child);
        if (used <= limit_kib) continue;
        kill(child, SIGKILL);
        fprintf(stderr, "killed by the guard: %ld MiB in use, more than %ld\n", used / 1024, limit_kib / 1024);
        return;
    }
}

static long limit_kib(void) {
    const char *text = getenv("MEASURE_LIMIT_KIB");
    return text == NULL ? 0 : atol(text);
}

int main(int argc, char **argv) {
    if (argc < 4) return fputs("usage: measure RESULT PRELOAD PROGRAM [ARGUMENT]...\n", stderr), 2;
    FILE *out = fopen(argv[1], "w");
    if (out == NULL) return perror(argv[1]), 2;
    sigset_t ended, before;
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ended, &before);
    long long start = now_micros();
    pid_t child = fork();
    if (child == 0) sigprocmask(SIG_SETMASK, &before, NULL), become(argv[2], argv + 3);
    if (limit_kib() > 0) watch(child, limit_kib(), &ended);
    int status;
    struct rusage used;
    if (wait4(child, &status, 0, &used) != child) return perror("wait4"), 2;
    report(out, now_micros() - start, &used);
    return fclose(out) != 0 ? 2 : exit_status(status);
}
