/*
 * A lean load generator: one thread, epoll, C connections with D requests in flight on each. Requests are single gets, or
 * those of a file that was made ahead.
 *
 * Promises: both servers get the same treatment. The same loop, the same random keys (xorshift, seeded), the same
 * socket options, one write a wake-up; only the bytes of a request and the parsing of an answer differ. Every
 * answer is checked: a missing row, an error or an answer of another size than expected counts as an error.
 *
 * How: a connection sends D requests at once and then one for every answer, so D stay in flight. Latency is from
 * the moment a request is put into the write buffer to the moment its answer is parsed, held in a histogram of
 * powers of two with 64 steps each (error below 1.6 %). Measuring starts after the warm-up; the server's CPU is
 * read from /proc at the same two moments.
 *
 * RESP:     "GET <8 digits>", bulk string expected. Answers come in order.
 * Millrace: HELLO, then GET of one int64 key. A request is 64 bytes: 40 header, 8 group, 8 count and stride,
 *           8 key. Answers may come in any order: the correlation id is the slot.
 *
 * File:     u32 requests | u32 rows a request | for each: u32 bytes, the bytes as they go to the socket. Taken in turn, from a
 *           random one on. RESP answers with as many replies as a request has rows, each "+OK" or an integer; Millrace with
 *           one write response whose results are all 0 (applied). A request of R rows counts as R operations.
 *
 *   loadgen redis|millrace HOST PORT KEYS CONNECTIONS DEPTH SECONDS VALUE_BYTES SERVER_PID [GROUP_ID [SEED [FILE]]]
 *
 * Prints one line of JSON.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WARM_UP_SECONDS 1.0
#define INPUT_BYTES (1 << 18)
#define OUTPUT_BYTES_MIN (1 << 16)
#define DEPTH_MAX 512
#define HISTOGRAM_STEPS 64
#define HISTOGRAM_SLOTS (40 * HISTOGRAM_STEPS)

#define MILLRACE_REQUEST_BYTES 64
#define MILLRACE_REQUEST_HEADER 40
#define MILLRACE_RESPONSE_HEADER 16
#define MILLRACE_HELLO 1
#define MILLRACE_GET 16

struct connection {
    int fd;
    int waiting_for_write;
    size_t input_length;
    size_t output_start;
    size_t output_length;
    unsigned ring_head;    /* RESP: the oldest request in flight */
    unsigned replies_seen; /* RESP: how many of its replies have come */
    int replies_good;
    double sent_at[DEPTH_MAX];
    uint8_t input[INPUT_BYTES];
    uint8_t *output;
};

static int is_redis;
static uint64_t key_count;
static unsigned depth;
static size_t value_bytes;
static uint16_t group_id;
static uint64_t random_state = 0x9e3779b97f4a7c15ull;

/* Requests of a file. */
static struct prepared {
    uint32_t bytes;
    const uint8_t *at;
} *prepared;
static uint32_t prepared_count, prepared_next;
static uint32_t rows_a_request = 1;
static size_t output_bytes = OUTPUT_BYTES_MIN;

static int measuring;
static uint64_t answers;
static uint64_t errors;
static uint64_t histogram[HISTOGRAM_SLOTS];

static void die(const char *what) {
    fprintf(stderr, "loadgen: %s: %s\n", what, errno ? strerror(errno) : "unexpected answer");
    exit(1);
}

static double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint64_t next_key(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % key_count;
}

/* CPU seconds of a whole process, all threads, user and system. */
static double process_cpu_seconds(int pid) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file) die("read the server's /proc stat");
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = 0;
    char *after_name = strrchr(text, ')');
    unsigned long user = 0, system = 0;
    if (!after_name || sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        die("parse the server's /proc stat");
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double own_cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static void record_latency(double seconds) {
    uint64_t nanoseconds = (uint64_t)(seconds * 1e9);
    if (nanoseconds < HISTOGRAM_STEPS) nanoseconds = HISTOGRAM_STEPS;
    int power = 63 - __builtin_clzll(nanoseconds);
    int step = (int)((nanoseconds >> (power - 6)) & (HISTOGRAM_STEPS - 1));
    int slot = (power - 6) * HISTOGRAM_STEPS + step;
    histogram[slot < HISTOGRAM_SLOTS ? slot : HISTOGRAM_SLOTS - 1]++;
}

static double quantile_micros(double quantile) {
    uint64_t total = 0, seen = 0;
    for (int i = 0; i < HISTOGRAM_SLOTS; i++) total += histogram[i];
    for (int i = 0; i < HISTOGRAM_SLOTS; i++) {
        seen += histogram[i];
        if (seen > 0 && (double)seen >= quantile * (double)total)
            return (double)((uint64_t)(HISTOGRAM_STEPS + i % HISTOGRAM_STEPS) << (i / HISTOGRAM_STEPS)) / 1e3;
    }
    return 0;
}

static void put32(uint8_t *at, uint32_t value) { memcpy(at, &value, 4); }
static uint32_t get32(const uint8_t *at) { uint32_t value; memcpy(&value, at, 4); return value; }
static uint16_t get16(const uint8_t *at) { uint16_t value; memcpy(&value, at, 2); return value; }

static void append_redis_request(struct connection *c) {
    uint8_t *at = c->output + c->output_length;
    static const char head[] = "*2\r\n$3\r\nGET\r\n$8\r\n";
    memcpy(at, head, sizeof head - 1);
    at += sizeof head - 1;
    uint64_t key = next_key();
    for (int digit = 7; digit >= 0; digit--, key /= 10) at[digit] = (uint8_t)('0' + key % 10);
    at[8] = '\r';
    at[9] = '\n';
    c->output_length += sizeof head - 1 + 10;
}

static void append_millrace_request(struct connection *c, unsigned slot) {
    uint8_t *at = c->output + c->output_length;
    memset(at, 0, MILLRACE_REQUEST_BYTES);
    put32(at, MILLRACE_REQUEST_BYTES);
    at[4] = 1;
    at[5] = MILLRACE_GET;
    put32(at + 8, slot + 1);
    memcpy(at + 40, &group_id, 2);
    put32(at + 48, 1); /* one key */
    put32(at + 52, 8); /* of eight bytes */
    uint64_t key = next_key();
    memcpy(at + 56, &key, 8);
    c->output_length += MILLRACE_REQUEST_BYTES;
}

static void append_prepared(struct connection *c, unsigned slot) {
    const struct prepared *request = &prepared[prepared_next];
    prepared_next = prepared_next + 1 == prepared_count ? 0 : prepared_next + 1;
    if (c->output_length + request->bytes > output_bytes) die("the write buffer is full");
    uint8_t *at = c->output + c->output_length;
    memcpy(at, request->at, request->bytes);
    if (!is_redis) put32(at + 8, slot + 1);
    c->output_length += request->bytes;
}

static void append_request(struct connection *c, unsigned slot, double now) {
    if (c->output_length + 128 > output_bytes) die("the write buffer is full");
    c->sent_at[slot] = now;
    if (prepared) append_prepared(c, slot);
    else if (is_redis) append_redis_request(c);
    else append_millrace_request(c, slot);
}

static void answered(struct connection *c, unsigned slot, int good, double now) {
    if (measuring) {
        answers += rows_a_request;
        if (!good) errors++;
        record_latency(now - c->sent_at[slot]);
    }
    append_request(c, slot, now);
}

/* Parses one RESP answer at `at`; returns its bytes, or 0 when it is not all there. */
static size_t parse_redis(struct connection *c, const uint8_t *at, size_t available, double now) {
    const uint8_t *end = memchr(at, '\n', available);
    if (!end) return 0;
    size_t line = (size_t)(end - at) + 1;
    int good = 0;
    if (prepared) {
        c->replies_good &= at[0] == '+' || at[0] == ':';
        if (++c->replies_seen < rows_a_request) return line;
        good = c->replies_good;
        c->replies_seen = 0;
        c->replies_good = 1;
    } else if (at[0] == '$' && at[1] != '-') {
        size_t length = strtoul((const char *)at + 1, NULL, 10);
        if (available < line + length + 2) return 0;
        good = length == value_bytes;
        line += length + 2;
    }
    unsigned slot = c->ring_head;
    c->ring_head = (c->ring_head + 1) % depth;
    answered(c, slot, good, now);
    return line;
}

static size_t parse_millrace(struct connection *c, const uint8_t *at, size_t available, double now) {
    if (available < MILLRACE_RESPONSE_HEADER) return 0;
    uint32_t bytes = get32(at);
    if (bytes < MILLRACE_RESPONSE_HEADER || bytes > INPUT_BYTES) die("frame length");
    if (available < bytes) return 0;
    uint32_t slot = get32(at + 8) - 1;
    if (slot >= depth) die("correlation id");
    int good = 0;
    if (prepared) {
        good = bytes >= 24 + rows_a_request && get16(at + 6) == 0 && get32(at + 16) == rows_a_request;
        for (uint32_t row = 0; good && row < rows_a_request; row++) good = at[24 + row] == 0;
    } else if (bytes >= 48 && get16(at + 6) == 0 && get32(at + 16) == 1) {
        uint32_t row = get32(at + 28) - get32(at + 24);
        good = row >= value_bytes; /* the row carries its header and bitmap too */
    }
    answered(c, slot, good, now);
    return bytes;
}

static void flush_output(int poller, struct connection *c) {
    while (c->output_start < c->output_length) {
        ssize_t n = write(c->fd, c->output + c->output_start, c->output_length - c->output_start);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (n <= 0) die("write");
        c->output_start += (size_t)n;
    }
    int waiting = c->output_start < c->output_length;
    if (!waiting) c->output_start = c->output_length = 0;
    else if (c->output_start > 0) {
        memmove(c->output, c->output + c->output_start, c->output_length - c->output_start);
        c->output_length -= c->output_start;
        c->output_start = 0;
    }
    if (waiting == c->waiting_for_write) return;
    c->waiting_for_write = waiting;
    struct epoll_event event = {.events = EPOLLIN | (waiting ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event) != 0) die("epoll_ctl");
}

static void read_answers(struct connection *c) {
    ssize_t n = read(c->fd, c->input + c->input_length, INPUT_BYTES - c->input_length);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) die("the server closed a connection");
    c->input_length += (size_t)n;
    double now = now_seconds();
    size_t position = 0;
    while (position < c->input_length) {
        const uint8_t *at = c->input + position;
        size_t available = c->input_length - position;
        size_t used = is_redis ? parse_redis(c, at, available, now) : parse_millrace(c, at, available, now);
        if (used == 0) break;
        position += used;
    }
    memmove(c->input, c->input + position, c->input_length - position);
    c->input_length -= position;
}

static void shake_hands(int fd) {
    /* MessagePack {client: "loadgen"} */
    static const uint8_t map[] = "\x81\xa6" "client\xa7" "loadgen";
    uint8_t frame[80] = {0}, answer[4096];
    uint32_t bytes = MILLRACE_REQUEST_HEADER + 16 + sizeof map - 1;
    put32(frame, bytes);
    frame[4] = 1;
    frame[5] = MILLRACE_HELLO;
    put32(frame + 8, 1);
    memcpy(frame + 40, "MILLRACE", 8);
    frame[48] = 1;
    frame[50] = 1;
    memcpy(frame + 56, map, sizeof map - 1);
    if (write(fd, frame, bytes) != (ssize_t)bytes) die("write HELLO");
    size_t length = 0;
    while (length < MILLRACE_RESPONSE_HEADER || length < get32(answer)) {
        ssize_t n = read(fd, answer + length, sizeof answer - length);
        if (n <= 0) die("read HELLO's answer");
        length += (size_t)n;
    }
    errno = 0;
    if (get16(answer + 6) != 0) die("HELLO was refused");
}

static struct connection *dial(const char *host, int port, int poller) {
    struct connection *c = calloc(1, sizeof *c);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    if (c) c->output = malloc(output_bytes);
    if (c) c->replies_good = 1;
    if (!c || !c->output || inet_pton(AF_INET, host, &address.sin_addr) != 1) die("address");
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (!is_redis) shake_hands(c->fd);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) != 0) die("epoll_ctl");
    return c;
}

static void read_prepared(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) die(path);
    long size = ftell(file);
    uint8_t *bytes = malloc((size_t)size);
    rewind(file);
    if (size < 8 || !bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size) die(path);
    fclose(file);
    prepared_count = get32(bytes);
    rows_a_request = get32(bytes + 4);
    prepared = calloc(prepared_count, sizeof *prepared);
    if (!prepared || prepared_count < 1 || rows_a_request < 1) die(path);
    uint32_t longest = 0;
    const uint8_t *at = bytes + 8;
    for (uint32_t i = 0; i < prepared_count; i++) {
        if (at + 4 > bytes + size || at + 4 + get32(at) > bytes + size) die(path);
        prepared[i].bytes = get32(at);
        prepared[i].at = at + 4;
        if (prepared[i].bytes > longest) longest = prepared[i].bytes;
        at += 4 + prepared[i].bytes;
    }
    output_bytes += (size_t)longest * (depth + 1);
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    prepared_next = (uint32_t)t.tv_nsec % prepared_count;
}

static void run_until(int poller, double until) {
    struct epoll_event events[128];
    while (now_seconds() < until) {
        int n = epoll_wait(poller, events, 128, 100);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_answers(c);
            flush_output(poller, c);
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 10) {
        fprintf(stderr, "loadgen redis|millrace HOST PORT KEYS CONNECTIONS DEPTH SECONDS VALUE_BYTES SERVER_PID [GROUP_ID [SEED [FILE]]]\n");
        return 2;
    }
    is_redis = strcmp(argv[1], "redis") == 0;
    key_count = strtoull(argv[4], NULL, 10);
    unsigned connections = (unsigned)atoi(argv[5]);
    depth = (unsigned)atoi(argv[6]);
    double seconds = atof(argv[7]);
    value_bytes = strtoul(argv[8], NULL, 10);
    int server_pid = atoi(argv[9]);
    group_id = argc > 10 ? (uint16_t)atoi(argv[10]) : 0;
    if (argc > 11 && strcmp(argv[11], "0") != 0) random_state ^= (strtoull(argv[11], NULL, 10) + 1) * 0xbf58476d1ce4e5b9ull;
    if (depth < 1 || depth > DEPTH_MAX || connections < 1 || key_count < 1) die("arguments");

    if (argc > 12) read_prepared(argv[12]);
    int poller = epoll_create1(0);
    for (unsigned i = 0; i < connections; i++) {
        struct connection *c = dial(argv[2], atoi(argv[3]), poller);
        double now = now_seconds();
        for (unsigned slot = 0; slot < depth; slot++) append_request(c, slot, now);
        flush_output(poller, c);
    }
    run_until(poller, now_seconds() + WARM_UP_SECONDS);
    double server_cpu = process_cpu_seconds(server_pid), own_cpu = own_cpu_seconds(), start = now_seconds();
    measuring = 1;
    run_until(poller, start + seconds);
    measuring = 0;
    double elapsed = now_seconds() - start;
    server_cpu = process_cpu_seconds(server_pid) - server_cpu;
    own_cpu = own_cpu_seconds() - own_cpu;
    printf("{\"answers\":%llu,\"errors\":%llu,\"seconds\":%.6f,\"opsPerSecond\":%.0f,\"p50Micros\":%.1f,\"p99Micros\":%.1f,"
           "\"p999Micros\":%.1f,\"serverCpuSeconds\":%.3f,\"generatorCpuSeconds\":%.3f}\n",
           (unsigned long long)answers, (unsigned long long)errors, elapsed, (double)answers / elapsed,
           quantile_micros(0.5), quantile_micros(0.99), quantile_micros(0.999), server_cpu, own_cpu);
    return 0;
}
