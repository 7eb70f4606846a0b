/* A long link between this network namespace and another one: late both ways, at one rate.
 *
 *   link HERE NAMESPACE THERE RATE DELAY QUEUE
 *
 * makes the tun devices HERE and, in the named NAMESPACE, THERE, prints a line, and carries
 * packets between them until it is ended: RATE in bytes per second each way, DELAY in seconds one
 * way; what finds more than QUEUE bytes ahead of it is lost. For kernels without netem. Packets
 * are as large as the kernel's segmentation offload leaves them, so this costs little.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { PACKET = 66000, TURN = 64 };

struct packet {
    struct packet *next;
    double due;
    size_t length;
    char bytes[];
};

struct way {
    int from, to;
    double free_at;
    struct packet *first, **last;
};

static double rate, delay, queue;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int make_device(const char *name) {
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (device < 0 || ioctl(device, TUNSETIFF, &request) < 0) fail("tun");
    if (ioctl(device, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4) < 0) fail("offload");
    return device;
}

static void take(struct way *way) {
    static char bytes[PACKET];
    for (int i = 0; i < TURN; i++) {
        ssize_t length = read(way->from, bytes, sizeof bytes);
        double time = now();
        if (length <= 0) return;
        if (way->free_at < time) way->free_at = time;
        if ((way->free_at - time) * rate > queue) continue;
        way->free_at += length / rate;
        struct packet *packet = malloc(sizeof *packet + length);
        if (!packet) fail("malloc");
        *packet = (struct packet){.due = way->free_at + delay, .length = length};
        memcpy(packet->bytes, bytes, length);
        *way->last = packet;
        way->last = &packet->next;
    }
}

/* Seconds until the next packet is due; a second if there is none. */
static double give(struct way *way) {
    while (way->first && way->first->due <= now()) {
        struct packet *packet = way->first;
        if (write(way->to, packet->bytes, packet->length) < 0 && errno != EINVAL && errno != EIO)
            fail("write");
        way->first = packet->next;
        if (!way->first) way->last = &way->first;
        free(packet);
    }
    double left = way->first ? way->first->due - now() : 1;
    return left > 0 ? left : 0;
}

int main(int argc, char **argv) {
    if (argc != 7) return fputs("link HERE NAMESPACE THERE RATE DELAY QUEUE\n", stderr), 2;
    char path[256];
    snprintf(path, sizeof path, "/var/run/netns/%s", argv[2]);
    rate = atof(argv[4]);
    delay = atof(argv[5]);
    queue = atof(argv[6]);
    int here = make_device(argv[1]), namespace = open(path, O_RDONLY | O_CLOEXEC);
    if (namespace < 0 || setns(namespace, CLONE_NEWNET) < 0) fail(path);
    int there = make_device(argv[3]);
    struct way ways[] = {{.from = here, .to = there}, {.from = there, .to = here}};
    for (int i = 0; i < 2; i++) ways[i].last = &ways[i].first;
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        double one = give(&ways[0]), other = give(&ways[1]), left = one < other ? one : other;
        struct timespec wait = {.tv_sec = left, .tv_nsec = (left - (long)left) * 1e9};
        struct pollfd devices[] = {{.fd = here, .events = POLLIN}, {.fd = there, .events = POLLIN}};
        if (ppoll(devices, 2, &wait, NULL) < 0 && errno != EINTR) fail("poll");
        take(&ways[0]);
        take(&ways[1]);
    }
}
