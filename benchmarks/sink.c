/* Fetches paths over HTTP/1.1 and throws the bytes away: a load client that costs little.
 *
 *   sink HOST PORT CONNECTIONS RATE SECONDS TLS [HEADER] < paths
 *
 * Every connection takes the next line of standard input as its path, again and again until
 * there is none left. RATE is what a connection may take in bytes per second (0: all it gets).
 * After SECONDS it ends whatever is missing (0: never). TLS is 0 or 1; no certificate is
 * checked. HEADER is one line for every request.
 *
 * Over plain TCP the kernel drops the bytes (MSG_TRUNC), so that this costs no copy. What is
 * printed is one JSON object; a first byte is the first of a body, and times count from the
 * connection's first SYN, or from the request on a connection that had one before. The longest gap
 * is the longest time that nothing came of a body which had begun.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_SIZE = 16384, PIECE = 1 << 20, TICK_MS = 50, TURN = 4 << 20 };
enum state { CONNECTING, SHAKING, SENDING, HEAD, BODY, IDLE };

struct connection {
    int fd, served, again, waiting, more;
    enum state state;
    SSL *ssl;
    char head[HEAD_SIZE], request[2048];
    size_t filled, sent, length;
    long long left;
    double began, took;
};

static const char *host, *header;
static int port, secure, epoll_fd, working;
static double rate, started, longest_gap;
static char **paths, piece[PIECE];
static size_t path_count, path_next, done, failed, refused;
static long long bytes;
static double *first_ms, *total_ms;
static size_t first_count;
static SSL_CTX *tls;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void watch(struct connection *c, unsigned events, int operation) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    epoll_ctl(epoll_fd, operation, c->fd, &event);
}

static void dial(struct connection *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1;
    inet_pton(AF_INET, host, &address.sin_addr);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->state = CONNECTING;
    c->served = 0;
    c->began = now();
    connect(c->fd, (struct sockaddr *)&address, sizeof address);
    watch(c, EPOLLOUT, EPOLL_CTL_ADD);
}

static void hang_up(struct connection *c) {
    if (c->ssl) SSL_free(c->ssl);
    c->ssl = NULL;
    close(c->fd);
    c->state = IDLE;
}

/* Prepares the next request; ends the connection if there is none. */
static int next_path(struct connection *c) {
    if (path_next == path_count && !c->again) {
        hang_up(c);
        working--;
        return 0;
    }
    if (!c->again)
        c->length = snprintf(c->request, sizeof c->request,
                             "GET %s HTTP/1.1\r\nHost: %s:%d\r\nAccept: */*\r\n%s%s\r\n",
                             paths[path_next++], host, port, header, *header ? "\r\n" : "");
    c->sent = c->filled = c->again = 0;
    c->waiting = 1;
    if (c->served) c->began = now();
    c->state = SENDING;
    return 1;
}

/* A server may close a connection that was used before: that request is sent once more. */
static void broken(struct connection *c) {
    c->again = c->served && !c->filled && (c->state == SENDING || c->state == HEAD);
    failed += !c->again;
    hang_up(c);
    if (path_next == path_count && !c->again) working--;
    else dial(c);
}

static void complete(struct connection *c) {
    total_ms[done++] = (now() - c->began) * 1000;
    c->served++;
    if (next_path(c)) watch(c, EPOLLOUT, EPOLL_CTL_MOD);
}

/* What a TLS call answered: > 0, or 0 for "later", or -1 for "broken". */
static ssize_t judge(struct connection *c, int got) {
    if (got > 0) return got;
    int why = SSL_get_error(c->ssl, got);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static ssize_t receive(struct connection *c, char *to, size_t most, int flags) {
    if (c->ssl) return judge(c, SSL_read(c->ssl, to, most));
    ssize_t got = recv(c->fd, to, most, flags);
    if (got > 0) return got;
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static void send_request(struct connection *c) {
    const char *from = c->request + c->sent;
    ssize_t got;
    if (c->ssl) got = judge(c, SSL_write(c->ssl, from, c->length - c->sent));
    else got = send(c->fd, from, c->length - c->sent, MSG_NOSIGNAL);
    if (got < 0) return broken(c);
    c->sent += got;
    if (c->sent < c->length) return;
    c->state = HEAD;
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
}

static void took(struct connection *c, long long count) {
    double time = now();
    if (c->waiting) first_ms[first_count++] = (time - c->began) * 1000;
    else if (time - c->took > longest_gap) longest_gap = time - c->took;
    c->took = time;
    c->waiting = 0;
    bytes += count;
    c->left -= count;
    if (!c->left) complete(c);
}

/* Over plain TCP the head is looked at first (MSG_PEEK), so that no byte of the body is copied. */
static void read_head(struct connection *c) {
    ssize_t got = receive(c, c->head + c->filled, HEAD_SIZE - 1 - c->filled, c->ssl ? 0 : MSG_PEEK);
    if (got < 0) return broken(c);
    size_t known = c->filled + got;
    c->head[known] = 0;
    char *end = strstr(c->head, "\r\n\r\n"), *length = strcasestr(c->head, "\r\ncontent-length:");
    size_t head = end ? (size_t)(end + 4 - c->head) : known;
    if (!c->ssl && got) recv(c->fd, c->head + c->filled, head - c->filled, 0);
    c->filled = c->ssl ? known : head;
    if (!end && known < HEAD_SIZE - 1) return;
    if (!end || !length || length > end) return broken(c);
    if (strncmp(c->head + 8, " 200", 4)) refused++;
    c->left = atoll(length + 17);
    c->state = BODY;
    if (rate) watch(c, 0, EPOLL_CTL_MOD);
    if (c->ssl && known > head) took(c, known - head);
    else if (!c->left) complete(c);
}

static void read_body(struct connection *c, long long most) {
    c->more = 0;
    while (most > 0 && c->state == BODY) {
        long long want = c->left < most ? c->left : most;
        ssize_t got = receive(c, piece, want < PIECE ? want : PIECE, MSG_TRUNC);
        if (got < 0) broken(c);
        if (got <= 0) return;
        most -= got;
        took(c, got);
    }
    c->more = c->ssl && c->state == BODY;
}

static void step(struct connection *c) {
    if (c->state == CONNECTING) {
        if (secure) {
            c->ssl = SSL_new(tls);
            SSL_set_fd(c->ssl, c->fd);
            SSL_set_connect_state(c->ssl);
            c->state = SHAKING;
        } else if (!next_path(c)) return;
    }
    if (c->state == SHAKING) {
        ssize_t got = judge(c, SSL_do_handshake(c->ssl));
        if (got < 0) broken(c);
        else if (got && next_path(c)) watch(c, EPOLLOUT, EPOLL_CTL_MOD);
        else if (!got) watch(c, SSL_want_write(c->ssl) ? EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
    }
    if (c->state == SENDING) send_request(c);
    if (c->state == HEAD) read_head(c);
    if (c->state == BODY && !rate) read_body(c, TURN);
}

static void read_paths(void) {
    char *line = NULL;
    size_t size = 0, room = 0;
    ssize_t got;
    while ((got = getline(&line, &size, stdin)) > 0) {
        if (line[got - 1] == '\n') line[got - 1] = 0;
        if (path_count == room) paths = realloc(paths, sizeof *paths * (room = room * 2 + 64));
        paths[path_count++] = strdup(line);
    }
    first_ms = calloc(path_count + 1, sizeof *first_ms);
    total_ms = calloc(path_count + 1, sizeof *total_ms);
}

static int by_size(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static void print_times(const char *name, double *times, size_t count) {
    static const double parts[] = {0, 0.5, 0.99, 1};
    static const char *names[] = {"min", "p50", "p99", "max"};
    qsort(times, count, sizeof *times, by_size);
    printf(", \"%s\": {", name);
    for (int i = 0; i < 4; i++)
        printf("%s\"%s\": %.3f", i ? ", " : "", names[i],
               count ? times[(size_t)(parts[i] * (count - 1) + 0.5)] : 0.0);
    printf("}");
}

static void print_result(double seconds) {
    printf("{\"seconds\": %.6f, \"bytes\": %lld, \"done\": %zu, \"failed\": %zu, \"refused\": %zu",
           seconds, bytes, done, failed, refused);
    print_times("first_byte_ms", first_ms, first_count);
    print_times("total_ms", total_ms, done);
    printf(", \"longest_gap_ms\": %.3f", longest_gap * 1000);
    printf("}\n");
}

/* Slow readers take their share at every tick instead of when something is there. */
static void tick(struct connection *all, int count, double passed) {
    for (int i = 0; i < count; i++)
        if (all[i].state == BODY) read_body(&all[i], (long long)(rate * passed));
}

static int pending(struct connection *all, int count) {
    int found = 0;
    for (int i = 0; i < count; i++) {
        if (all[i].more && all[i].state == BODY) {
            read_body(&all[i], TURN);
            found |= all[i].more;
        }
    }
    return found;
}

static void run(struct connection *all, int count, double limit) {
    struct epoll_event events[256];
    double last = now();
    int more = 0;
    while (working > 0 && (!limit || now() - started < limit)) {
        int timeout = more ? 0 : rate || limit ? TICK_MS : 1000;
        int ready = epoll_wait(epoll_fd, events, 256, timeout);
        for (int i = 0; i < ready; i++) step(events[i].data.ptr);
        if (secure && !rate) more = pending(all, count);
        if (rate && now() - last >= TICK_MS / 1000.0) {
            double time = now();
            tick(all, count, time - last);
            last = time;
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 7) return fputs("sink HOST PORT CONNECTIONS RATE SECONDS TLS [HEADER]\n", stderr), 2;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    host = argv[1];
    port = atoi(argv[2]);
    int count = atoi(argv[3]);
    rate = atof(argv[4]);
    secure = atoi(argv[6]);
    header = argc > 7 ? argv[7] : "";
    read_paths();
    tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256"); /* what clients in Go take first */
    SSL_CTX_set_read_ahead(tls, 1);
    SSL_CTX_set_default_read_buffer_len(tls, 256 << 10);
    epoll_fd = epoll_create1(0);
    struct connection *all = calloc(count, sizeof *all);
    started = now();
    working = count;
    for (int i = 0; i < count; i++) dial(&all[i]);
    run(all, count, atof(argv[5]));
    print_result(now() - started);
    return failed || refused;
}
