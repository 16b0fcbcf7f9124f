// `measure RESULT PRELOAD PROGRAM [ARGUMENT]...` runs one program with an engine preloaded and writes what it cost.
//
// A small static program does the measuring, because Linux starts a child's peak RSS at its parent's: measured from the
// runner itself, every peak would be at least the runner's own. PRELOAD may be "-" for none. RESULT receives lines
// `name=value`; the exit status is the program's.
#define _GNU_SOURCE
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

int main(int argc, char **argv) {
    if (argc < 4) return fputs("usage: measure RESULT PRELOAD PROGRAM [ARGUMENT]...\n", stderr), 2;
    FILE *out = fopen(argv[1], "w");
    if (out == NULL) return perror(argv[1]), 2;
    long long start = now_micros();
    pid_t child = fork();
    if (child == 0) become(argv[2], argv + 3);
    int status;
    struct rusage used;
    if (wait4(child, &status, 0, &used) != child) return perror("wait4"), 2;
    report(out, now_micros() - start, &used);
    return fclose(out) != 0 ? 2 : exit_status(status);
}
