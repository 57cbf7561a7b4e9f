/* Answer three ports for benchmarks: 7007 echoes, 7009 swallows, 7019 pours.
 *
 * 7007  sends back every byte; a half-close of the client is answered by one of ours.
 * 7009  reads an 8-byte big-endian length and that many bytes, then answers the byte 'k'; again on the same connection.
 * 7019  reads an 8-byte big-endian length, sends that many zero bytes, then waits for the client's close.
 *
 * One thread a connection: the kernel's scheduler is not what is measured, and a blocked reader stops nobody else.
 * Sources: socket(7), tcp(7). */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CHUNK_BYTES = 256 * 1024, /* 2 GB/s needs 8000 calls a second; larger falls out of the L2 cache */
    STACK_BYTES = CHUNK_BYTES + 64 * 1024,
    BACKLOG = 1024
};

typedef void serve_fn(int fd, char *chunk);

struct service {
    uint16_t port;
    serve_fn *serve;
    int listener;
};

struct visit {
    serve_fn *serve;
    int fd;
};

static const char zeros[CHUNK_BYTES];

/* Write all of `size` bytes.  Returns 0, or -1 when the peer is gone. */
static int send_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent == -1 && errno == EINTR)
            continue;
        if (sent == -1)
            return -1;
        bytes += sent;
        size -= (size_t)sent;
    }
    return 0;
}

/* Read at most `size` bytes.  Returns > 0, or 0 at end of file or error. */
static size_t receive(int fd, char *bytes, size_t size)
{
    for (;;) {
        ssize_t got = recv(fd, bytes, size, 0);
        if (got >= 0)
            return (size_t)got;
        if (errno != EINTR)
            return 0;
    }
}

/* Read the 8-byte length.  Returns 1, or 0 when the peer closed first. */
static int take_length(int fd, uint64_t *length)
{
    char bytes[sizeof *length];
    size_t have = 0;

    while (have < sizeof bytes) {
        size_t got = receive(fd, bytes + have, sizeof bytes - have);
        if (got == 0)
            return 0;
        have += got;
    }
    memcpy(length, bytes, sizeof *length);
    *length = be64toh(*length);
    return 1;
}

static void serve_echo(int fd, char *chunk)
{
    size_t got;

    while ((got = receive(fd, chunk, CHUNK_BYTES)) > 0)
        if (send_all(fd, chunk, got) == -1)
            return;
}

static void serve_sink(int fd, char *chunk)
{
    uint64_t left;

    while (take_length(fd, &left)) {
        while (left > 0) {
            size_t got = receive(fd, chunk, left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES);
            if (got == 0)
                return;
            left -= got;
        }
        if (send_all(fd, "k", 1) == -1)
            return;
    }
}

static void serve_source(int fd, char *chunk)
{
    uint64_t left;

    if (!take_length(fd, &left))
        return;
    while (left > 0) {
        size_t part = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        if (send_all(fd, zeros, part) == -1)
            return;
        left -= part;
    }
    while (receive(fd, chunk, CHUNK_BYTES) > 0)
        continue;
}

static void *run_visit(void *argument)
{
    struct visit visit = *(struct visit *)argument;
    char chunk[CHUNK_BYTES];

    free(argument);
    visit.serve(visit.fd, chunk);
    close(visit.fd);
    return NULL;
}

static void *run_service(void *argument)
{
    const struct service *service = argument;
    pthread_attr_t attributes;
    const int on = 1;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (;;) {
        struct visit *visit;
        pthread_t thread;
        int fd = accept4(service->listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd == -1 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
            usleep(10000); /* out of descriptors: accept would return at once, again and again */
        if (fd == -1)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        visit = malloc(sizeof *visit);
        if (visit == NULL) {
            close(fd);
            continue;
        }
        *visit = (struct visit){service->serve, fd};
        if (pthread_create(&thread, &attributes, run_visit, visit) != 0) {
            free(visit);
            close(fd);
        }
    }
    return NULL;
}

/* Listen on the port, IPv4 and IPv6.  Returns the fd or -1 with errno. */
static int open_listener(uint16_t port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_ANY_INIT};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_ANY)}};
    const struct sockaddr *address = (const struct sockaddr *)&six;
    socklen_t size = sizeof six;
    const int on = 1;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd == -1) { /* a kernel without IPv6 */
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        address = (const struct sockaddr *)&four;
        size = sizeof four;
    }
    if (fd == -1)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address, size) == -1 || listen(fd, BACKLOG) == -1) {
        close(fd);
        return -1;
    }
    return fd;
}

int main(void)
{
    static struct service services[] = {
        {7007, serve_echo, -1}, {7009, serve_sink, -1}, {7019, serve_source, -1}};
    const size_t count = sizeof services / sizeof services[0];
    sigset_t stop;
    int signal_number;

    sigemptyset(&stop); /* process 1 of a container ignores SIGTERM unless it handles it */
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    for (size_t i = 0; i < count; i++) {
        pthread_t thread;

        services[i].listener = open_listener(services[i].port);
        if (services[i].listener == -1) {
            fprintf(stderr, "bench-server: port %u: %s\n", (unsigned)services[i].port, strerror(errno));
            return 1;
        }
        if (pthread_create(&thread, NULL, run_service, &services[i]) != 0) {
            fputs("bench-server: no thread\n", stderr);
            return 1;
        }
    }
    fputs("bench-server: ready\n", stderr);
    sigwait(&stop, &signal_number);
    return 0;
}
