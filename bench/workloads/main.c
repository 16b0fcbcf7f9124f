// `workload NAME [THREADS] [SCALE] [--dry]` runs one workload and prints its checksum and the memory still resident.
// `workload --list` prints the catalogue, tab-separated, for the runner.
// `workload --generate SEED [SCALE]` runs a program drawn at random, `workload --describe SEED` says what is drawn.
#include "generate.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

typedef struct {
    const char *name;
    workload_fn *run;
    const char *group, *threads, *source;
} entry;

#define ENTRY(name, run, group, threads, source) {name, run, group, threads, source},
static const entry catalogue[] = {WORKLOADS(ENTRY)};
enum { CATALOGUE_LENGTH = sizeof catalogue / sizeof catalogue[0] };

void *must(void *block) {
    if (block == NULL) {
        static const char message[] = "workload: out of memory\n";
        if (write(2, message, sizeof message - 1) < 0) _exit(4);
        _exit(3);
    }
    return block;
}

// --- threads ---------------------------------------------------------------------------------------------------

typedef struct {
    pthread_t handle;
    unsigned index;
    uint64_t (*body)(unsigned, void *);
    void *shared;
    uint64_t result;
} worker;

static void *worker_main(void *argument) {
    worker *self = argument;
    self->result = self->body(self->index, self->shared);
    return NULL;
}

static void worker_start(worker *self) {
    if (pthread_create(&self->handle, NULL, worker_main, self) != 0) must(NULL);
}

static uint64_t worker_join(worker *self) {
    pthread_join(self->handle, NULL);
    return self->result;
}

uint64_t on_threads(unsigned count, uint64_t (*body)(unsigned, void *), void *shared) {
    worker workers[count];
    for (unsigned i = 0; i < count; i++) {
        workers[i] = (worker){.index = i, .body = body, .shared = shared};
        worker_start(&workers[i]);
    }
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; i++) sum += worker_join(&workers[i]);
    return sum;
}

// --- command line ------------------------------------------------------------------------------------------------

// Read without stdio, so that the reading itself allocates nothing.
static long resident_kib(void) {
    char text[128] = {0};
    int file = open("/proc/self/statm", O_RDONLY);
    if (file < 0 || read(file, text, sizeof text - 1) <= 0) return 0;
    close(file);
    const char *second = strchr(text, ' ');
    return second ? atol(second) * (sysconf(_SC_PAGESIZE) / 1024) : 0;
}

static int list(void) {
    for (int i = 0; i < CATALOGUE_LENGTH; i++) {
        const entry *e = &catalogue[i];
        printf("%s\t%s\t%s\t%s\n", e->name, e->group, e->threads, e->source);
    }
    return 0;
}

static const entry *find(const char *name) {
    for (int i = 0; i < CATALOGUE_LENGTH; i++)
        if (strcmp(catalogue[i].name, name) == 0) return &catalogue[i];
    return NULL;
}

static int report(uint64_t checksum) {
    long kib = resident_kib();
    printf("checksum=%016llx\nfinal_rss_kib=%ld\n", (unsigned long long)checksum, kib);
    return 0;
}

static int generated(uint64_t seed, double scale) {
    plan p = plan_draw(seed, scale);
    return report(plan_run(&p));
}

static int describe(uint64_t seed) {
    plan p = plan_draw(seed, 1.0);
    plan_describe(&p);
    return 0;
}

static int usage(void) {
    fputs("usage: workload NAME [THREADS] [SCALE] [--dry] | --list\n", stderr);
    fputs("       workload --generate SEED [SCALE] | --describe SEED\n", stderr);
    return 2;
}

int main(int argc, char **argv) {
    if (argc < 2) return usage();
    if (strcmp(argv[1], "--list") == 0) return list();
    if (strcmp(argv[1], "--generate") == 0 && argc > 2)
        return generated(strtoull(argv[2], NULL, 10), argc > 3 ? atof(argv[3]) : 1.0);
    if (strcmp(argv[1], "--describe") == 0 && argc > 2) return describe(strtoull(argv[2], NULL, 10));
    const entry *e = find(argv[1]);
    if (e == NULL) return usage();
    params p = {argc > 2 ? (unsigned)atoi(argv[2]) : 1, argc > 3 ? atof(argv[3]) : 1.0};
    if (p.threads == 0 || p.scale <= 0) return usage();
    if (argc > 4 && strcmp(argv[4], "--dry") == 0) use_stub_engine();
    return report(e->run(&p));
}
