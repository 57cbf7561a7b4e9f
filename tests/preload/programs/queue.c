/* Connections that are waited for in a kqueue.
 *
 *   queue CALL FLAGS HOW HOST PORT [HOST PORT]
 *
 * CALL is plain (kevent(2)) or wide (kevent64(2)), FLAGS a number for EV_ADD.  HOW: once, early (in
 * the queue before its connect), told (by a receipt), dropped (while it is held), both (of two
 * targets, until both are there), many (a hundred; prints how many ms it took). */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 10000, SOON_MS = 50, MANY = 100 };

static int queue;
static bool wide;
static unsigned flags;

static void *mark(int filter)
{
	return (void *)(uintptr_t)(0x1122334455667788 - filter);
}

static int call(const struct kevent *change, struct kevent *out, int ms)
{
	const struct timespec limit = {ms / 1000, ms % 1000 * 1000000L};
	struct kevent64_s change64, out64;
	int n;

	if (!wide)
		return kevent(queue, change, change != NULL, out, out != NULL, &limit);
	if (change != NULL)
		change64 = (struct kevent64_s){change->ident, change->filter, change->flags, 0, 0,
					       (uintptr_t)change->udata, {0}};
	n = kevent64(queue, &change64, change != NULL, &out64, out != NULL, 0, &limit);
	if (n == 1)
		EV_SET(out, out64.ident, out64.filter, out64.flags, out64.fflags, out64.data,
		       (void *)(uintptr_t)out64.udata);
	return n;
}

static void add(int fd, int filter, unsigned how)
{
	struct kevent change;

	EV_SET(&change, fd, filter, how, 0, 0, mark(filter));
	/* One of EV_ONESHOT is gone with its event. */
	if (call(&change, NULL, 0) == -1 && (how != EV_DELETE || errno != ENOENT))
		printf("kevent: %s\n", strerrorname_np(errno));
}

static int open_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static void start(int fd, char **target)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST}, *to;

	if (getaddrinfo(target[0], target[1], &hints, &to) != 0 ||
	    (connect(fd, to->ai_addr, to->ai_addrlen) == -1 && errno != EINPROGRESS))
		printf("connect: %s\n", strerrorname_np(errno));
	freeaddrinfo(to);
}

static int socket_error(int fd)
{
	int error = -1;
	socklen_t len = sizeof error;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1 ? errno : error;
}

static const char *name_of(int error)
{
	return error == 0 ? "ok" : strerrorname_np(error);
}

/* What the queue says, and what the socket says then. */
static int say_next(int ms)
{
	struct kevent got;
	int n = call(NULL, &got, ms), error;

	if (n != 1) {
		printf("nothing\n");
		return -1;
	}
	error = socket_error((int)got.ident);
	printf("%s mark %d connect: %s", got.filter == EVFILT_WRITE ? "write" : "read",
	       got.udata == mark(got.filter), name_of(error));
	if ((got.flags & EV_EOF) != 0)
		printf(" end: %s", name_of((int)got.fflags));
	printf("\n");
	return error == 0 ? (int)got.ident : -1;
}

/* What is sent comes back, and the queue tells that. */
static void echo(int fd)
{
	char text[16] = {0};

	add(fd, EVFILT_WRITE, EV_DELETE);
	add(fd, EVFILT_READ, EV_ADD | flags);
	if (write(fd, "0123456789", 10) != 10 || say_next(WAIT_MS) != fd)
		return;
	printf("echo %s\n", read(fd, text, 10) == 10 ? text : strerrorname_np(errno));
}

static void once(char **target)
{
	int fd = open_socket();

	start(fd, target);
	add(fd, EVFILT_WRITE, EV_ADD | flags);
	if (say_next(WAIT_MS) == fd)
		echo(fd);
}

static void early(char **target)
{
	int fd = open_socket();

	add(fd, EVFILT_READ, EV_ADD | flags);
	add(fd, EVFILT_WRITE, EV_ADD | flags);
	start(fd, target);
	if (say_next(WAIT_MS) == fd)
		echo(fd);
}

static void told(char **target)
{
	struct kevent change, receipt;
	int fd = open_socket();

	start(fd, target);
	EV_SET(&change, fd, EVFILT_WRITE, EV_ADD | EV_RECEIPT | flags, 0, 0,
	       mark(EVFILT_WRITE));
	printf("receipt %d", call(&change, &receipt, 0));
	printf(" %d %d\n", (receipt.flags & EV_ERROR) != 0, (int)receipt.data);
	if (say_next(WAIT_MS) == fd)
		echo(fd);
}

/* The second target's connect lets the first one's end. */
static void dropped(char **targets)
{
	int held = open_socket(), second = open_socket();

	start(held, targets);
	add(held, EVFILT_WRITE, EV_ADD | flags);
	(void)say_next(SOON_MS);
	add(held, EVFILT_WRITE, EV_DELETE);
	start(second, targets + 2);
	add(second, EVFILT_WRITE, EV_ADD | EV_ONESHOT);
	printf("second: %d\n", say_next(WAIT_MS) == second);
	(void)say_next(SOON_MS);
	add(held, EVFILT_WRITE, EV_ADD | flags);
	printf("held: %d\n", say_next(WAIT_MS) == held);
	echo(held);
}

static void both(char **targets)
{
	int held[MANY], second = open_socket(), there = 0;

	for (int i = 0; i < MANY; i++) {
		held[i] = open_socket();
		start(held[i], targets);
		add(held[i], EVFILT_WRITE, EV_ADD | flags);
	}
	(void)say_next(SOON_MS);
	start(second, targets + 2);
	add(second, EVFILT_WRITE, EV_ADD | flags);
	for (int i = 0; i <= MANY; i++) {
		struct kevent got;

		if (call(NULL, &got, WAIT_MS) == 1 && socket_error((int)got.ident) == 0)
			there++;
		add((int)got.ident, EVFILT_WRITE, EV_DELETE);
	}
	printf("there: %d\n", there);
}

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void many(char **target)
{
	double begin = now_ms();
	int fds[MANY];

	for (int i = 0; i < MANY; i++) {
		fds[i] = open_socket();
		start(fds[i], target);
		add(fds[i], EVFILT_WRITE, EV_ADD | EV_ONESHOT | flags);
	}
	for (int i = 0; i < MANY; i++) {
		struct kevent got;

		if (call(NULL, &got, WAIT_MS) != 1 || socket_error((int)got.ident) != 0)
			printf("no answer\n");
	}
	printf("%.3f\n", now_ms() - begin);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(char **target);
	} ways[] = {{"once", once},	  {"early", early}, {"told", told},
		    {"dropped", dropped}, {"both", both},   {"many", many}};

	if (argc < 6)
		return 2;
	queue = kqueue();
	wide = strcmp(argv[1], "wide") == 0;
	flags = (unsigned)strtoul(argv[2], NULL, 0);
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		if (strcmp(argv[3], ways[i].name) == 0)
			ways[i].run(argv + 4);
	return 0;
}
