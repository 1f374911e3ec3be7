/*
 * Random reads of 4 KiB from a file, past the page cache (O_DIRECT): what the device itself takes.
 *
 * THREADS threads, each with one read under way. Latencies are kept in a histogram of powers of two with 64 steps each
 * (error below 1.6 %).
 *
 *   rawread FILE THREADS SECONDS SEED
 *
 * Prints one line of JSON: {"reads":n,"readsPerSecond":x,"p50Micros":x,"p99Micros":x}.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define STEPS 64
#define SLOTS (40 * STEPS)
#define THREADS_MAX 256

static int file;
static uint64_t pages;
static double end_at;
static uint64_t seed;

struct reader {
    pthread_t thread;
    uint64_t state;
    uint64_t reads;
    uint64_t histogram[SLOTS];
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void die(const char *what) {
    fprintf(stderr, "rawread: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int slot_of(double nanoseconds) {
    uint64_t value = (uint64_t)nanoseconds + 1;
    int power = 63 - __builtin_clzll(value);
    int step = power >= 6 ? (int)((value >> (power - 6)) & (STEPS - 1)) : (int)((value << (6 - power)) & (STEPS - 1));
    int slot = power * STEPS + step;
    return slot < SLOTS ? slot : SLOTS - 1;
}

static double micros_of(int slot) {
    int power = slot / STEPS;
    return ((double)(1ULL << power) * (1.0 + (slot % STEPS + 0.5) / STEPS)) / 1000.0;
}

static void *run(void *argument) {
    struct reader *reader = argument;
    void *page;
    if (posix_memalign(&page, PAGE, PAGE) != 0) die("memory");
    for (;;) {
        reader->state ^= reader->state << 13;
        reader->state ^= reader->state >> 7;
        reader->state ^= reader->state << 17;
        double from = now();
        if (from >= end_at) break;
        if (pread(file, page, PAGE, (off_t)(reader->state % pages) * PAGE) != PAGE) die("read");
        reader->histogram[slot_of((now() - from) * 1e9)]++;
        reader->reads++;
    }
    free(page);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: rawread FILE THREADS SECONDS SEED\n");
        return 2;
    }
    file = open(argv[1], O_RDONLY | O_DIRECT);
    if (file < 0) die(argv[1]);
    struct stat status;
    if (fstat(file, &status) != 0) die("stat");
    pages = (uint64_t)status.st_size / PAGE;
    int threads = atoi(argv[2]);
    if (pages == 0 || threads < 1 || threads > THREADS_MAX) die("arguments");
    double seconds = atof(argv[3]);
    seed = strtoull(argv[4], NULL, 10);
    struct reader *readers = calloc((size_t)threads, sizeof *readers);
    if (readers == NULL) die("memory");
    end_at = now() + seconds;
    for (int index = 0; index < threads; index++) {
        readers[index].state = (seed + 1) * 0x9e3779b97f4a7c15ULL + (uint64_t)index * 0xbf58476d1ce4e5b9ULL;
        if (pthread_create(&readers[index].thread, NULL, run, &readers[index]) != 0) die("thread");
    }
    uint64_t reads = 0;
    uint64_t histogram[SLOTS] = {0};
    for (int index = 0; index < threads; index++) {
        pthread_join(readers[index].thread, NULL);
        reads += readers[index].reads;
        for (int slot = 0; slot < SLOTS; slot++) histogram[slot] += readers[index].histogram[slot];
    }
    double quantiles[2] = {0.5, 0.99};
    double micros[2] = {0, 0};
    for (int which = 0; which < 2; which++) {
        uint64_t below = 0;
        for (int slot = 0; slot < SLOTS; slot++) {
            below += histogram[slot];
            if (below >= quantiles[which] * reads) {
                micros[which] = micros_of(slot);
                break;
            }
        }
    }
    printf("{\"reads\":%llu,\"readsPerSecond\":%.1f,\"p50Micros\":%.1f,\"p99Micros\":%.1f}\n", (unsigned long long)reads,
           reads / seconds, micros[0], micros[1]);
    return 0;
}
