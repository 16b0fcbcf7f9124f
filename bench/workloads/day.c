// A server's day, a minute of it played in 60 milliseconds: night, morning, a deployment, a batch job, evening.
//
// Source: the daily load that Maas et al. (ASPLOS 2020) and Zhou et al. (ASPLOS 2024) describe for servers with huge
// pages. The figures to look at are resident to live memory, in the mean of all minutes and at the day's end.
//
// What is allocated in each minute depends on the seed alone. A machine that is too slow only starts its minutes later.
#define _GNU_SOURCE
#include "day.h"

#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

enum { MINUTES = 24 * 60, MINUTE_MICROS = 60000, NOTED_MINUTES = 20 };

typedef struct {
    unsigned requests;    // of each worker, a minute
    unsigned connections; // of each worker
    unsigned cache_mib;   // of all shards
    unsigned short_threads;
    unsigned batch_mib;
} hour;

static const hour hours[24] = {
    {40, 500, 96, 0, 0},     {20, 500, 96, 0, 0},     {20, 500, 96, 1, 0},     {10, 250, 24, 0, 0},
    {10, 250, 24, 0, 0},     {10, 250, 24, 0, 0},     {100, 1000, 64, 0, 0},   {300, 3000, 128, 1, 0},
    {500, 5000, 192, 2, 0},  {500, 6000, 224, 2, 0},  {300, 2500, 64, 2, 0},   {400, 5000, 160, 2, 0},
    {300, 4000, 192, 1, 0},  {300, 4000, 192, 1, 200}, {300, 4000, 192, 1, 0}, {400, 6000, 224, 2, 0},
    {400, 6000, 224, 8, 0},  {400, 5000, 224, 2, 0},  {300, 3000, 160, 1, 0},  {200, 2000, 128, 1, 0},
    {200, 2000, 128, 0, 0},  {100, 1000, 96, 0, 0},   {60, 750, 96, 0, 0},     {40, 500, 64, 0, 0},
};
enum { DEPLOYMENT = 10 * 60, MODULES = 120000, LOADERS = 8 };

static atomic_long bytes_live;

static long live_kib(void) { return atomic_load(&bytes_live) / 1024; }

// --- what is measured -------------------------------------------------------------------------------------------------

static long number_in(const char *path, const char *before, int skip) {
    char text[4096] = {0};
    int file = open(path, O_RDONLY);
    if (file < 0) return 0;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    const char *at = length > 0 ? strstr(text, before) : NULL;
    if (at == NULL) return 0;
    for (at += strlen(before); skip > 0 && *at != 0; at++) skip -= *at == ' ';
    return atol(at);
}

static long resident_kib(void) { return number_in("/proc/self/statm", "", 1) * (sysconf(_SC_PAGESIZE) / 1024); }
static long huge_kib(void) { return number_in("/proc/self/smaps_rollup", "AnonHugePages:", 0); }

typedef struct {
    double ratio, resident, live, night_ratio, huge;
    unsigned minutes, night_minutes, looks;
    long most;
} sums;

static void note(sums *s, unsigned minute) {
    long resident = resident_kib(), live = live_kib();
    s->ratio += (double)resident / (double)live;
    s->resident += (double)resident, s->live += (double)live, s->minutes++;
    if (resident > s->most) s->most = resident;
    if (minute >= 4 * 60 && minute < 6 * 60) s->night_ratio += (double)resident / (double)live, s->night_minutes++;
    if (minute % NOTED_MINUTES != 0) return;
    s->huge += (double)huge_kib() / (double)resident, s->looks++;
    printf("at_%02u%02u_resident_mib=%.1f\n", minute / 60, minute % 60, (double)resident / 1024);
    printf("at_%02u%02u_live_mib=%.1f\n", minute / 60, minute % 60, (double)live / 1024);
}

static void print_sums(const sums *s) {
    printf("resident_to_live=%.4f\n", s->ratio / s->minutes);
    printf("resident_to_live_at_night=%.4f\n", s->night_ratio / (s->night_minutes ? s->night_minutes : 1));
    printf("resident_to_live_at_the_end=%.4f\n", (double)resident_kib() / (double)live_kib());
    printf("resident_mean_mib=%.1f\nresident_most_mib=%.1f\n", s->resident / s->minutes / 1024, (double)s->most / 1024);
    printf("live_mean_mib=%.1f\nhuge_share=%.4f\n", s->live / s->minutes / 1024, s->huge / (s->looks ? s->looks : 1));
}

// --- the minutes ------------------------------------------------------------------------------------------------------

typedef struct {
    unsigned workers, minute;
    int is_over;
    pthread_barrier_t begin, end;
    object *modules; // what the program has loaded
} day;

static void *work(void *argument) {
    server *s = argument;
    day *d = s->day;
    for (;;) {
        pthread_barrier_wait(&d->begin);
        if (d->is_over) return server_close(s), NULL;
        const hour *now = &hours[d->minute / 60];
        server_set_version(s, d->minute >= DEPLOYMENT);
        server_serve(s, now->requests, now->connections, (long)now->cache_mib << 20);
        if (s->index == 0) server_batch(s, (long)now->batch_mib << 20);
        atomic_fetch_add(&bytes_live, server_take_live(s));
        pthread_barrier_wait(&d->end);
    }
}

// A thread that does one thing and ends.
static uint64_t short_thread(unsigned index, void *shared) {
    day *d = shared;
    server s = server_new(d, d->workers + index, d->minute);
    server_serve(&s, 4, 0, 0);
    server_close(&s);
    atomic_fetch_add(&bytes_live, server_take_live(&s));
    return s.sum;
}

// A new version: its modules are loaded by threads of their own, then the old ones go.
static uint64_t load_modules(unsigned index, void *shared) {
    day *d = shared;
    server s = server_new(d, d->workers + index, d->minute);
    object *loaded = NULL;
    for (unsigned i = 0; i < MODULES / LOADERS; i++) loaded = object_new(&s, 32, 5, loaded);
    object *last = loaded;
    while (last->next != NULL) last = last->next;
    object *before = __atomic_load_n(&d->modules, __ATOMIC_RELAXED);
    do last->next = before;
    while (!__atomic_compare_exchange_n(&d->modules, &before, loaded, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    atomic_fetch_add(&bytes_live, server_take_live(&s));
    return s.sum;
}

static uint64_t deploy(day *d) {
    server old = server_new(d, 0, 0);
    object *modules = d->modules;
    d->modules = NULL;
    uint64_t sum = on_threads(LOADERS, load_modules, d);
    objects_free(&old, modules);
    if (modules != NULL) cache_flush(&old);
    atomic_fetch_add(&bytes_live, server_take_live(&old));
    return sum + old.sum;
}

static void sleep_until(struct timespec *when) {
    when->tv_nsec += MINUTE_MICROS * 1000L;
    if (when->tv_nsec >= 1000000000L) when->tv_nsec -= 1000000000L, when->tv_sec++;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, when, NULL);
}

static uint64_t play(day *d, unsigned every, sums *s) {
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    uint64_t sum = deploy(d);
    int is_deployed = 0;
    for (d->minute = 0; d->minute < MINUTES; d->minute += every) {
        pthread_barrier_wait(&d->begin);
        unsigned threads = hours[d->minute / 60].short_threads;
        if (threads > 0) sum += on_threads(threads, short_thread, d);
        pthread_barrier_wait(&d->end);
        if (d->minute >= DEPLOYMENT && !is_deployed) is_deployed = 1, sum += deploy(d);
        sleep_until(&next);
        note(s, d->minute);
    }
    return sum;
}

// `scale` leaves out minutes: at 0.1, every tenth is played.
uint64_t run_day(const params *p) {
    day d = {.workers = p->threads};
    unsigned every = p->scale >= 1 ? 1 : (unsigned)(1 / p->scale);
    sums s = {0};
    server servers[p->threads];
    pthread_t threads[p->threads];
    cache_open();
    pthread_barrier_init(&d.begin, NULL, p->threads + 1);
    pthread_barrier_init(&d.end, NULL, p->threads + 1);
    for (unsigned i = 0; i < p->threads; i++) {
        servers[i] = server_new(&d, i, 0);
        if (pthread_create(&threads[i], NULL, work, &servers[i]) != 0) must(NULL);
    }
    uint64_t sum = play(&d, every, &s);
    print_sums(&s);
    d.is_over = 1;
    pthread_barrier_wait(&d.begin);
    for (unsigned i = 0; i < p->threads; i++) pthread_join(threads[i], NULL), sum += servers[i].sum;
    server last = server_new(&d, 0, 0);
    objects_free(&last, d.modules);
    cache_flush(&last);
    return sum + last.sum;
}
