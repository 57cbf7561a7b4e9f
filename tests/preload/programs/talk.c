/* One connection made in the way that argv names; every line it prints is the same with the shim
 * and without.   talk HOW HOST PORT */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 10000 };

static void say_error(const char *what, int error)
{
	printf("%s: %s\n", what, error == 0 ? "ok" : strerrorname_np(error));
}

static int socket_error(int fd)
{
	int error = -1;
	socklen_t len = sizeof error;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1 ? errno : error;
}

static void by_poll(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLOUT};
	int n = poll(&one, 1, WAIT_MS);

	printf("poll %d writable %d\n", n, (one.revents & POLLOUT) != 0);
}

static void by_many(int fd)
{
	struct pollfd many[100];
	int n;

	for (int i = 0; i < 100; i++)
		many[i] = (struct pollfd){.fd = -1};
	many[77] = (struct pollfd){.fd = fd, .events = POLLIN | POLLOUT};
	n = poll(many, 100, -1);
	printf("poll %d writable %d\n", n, (many[77].revents & POLLOUT) != 0);
}

static void by_select(int fd)
{
	fd_set readable, writable;
	struct timeval timeout = {WAIT_MS / 1000, 0};
	int n;

	FD_ZERO(&readable);
	FD_ZERO(&writable);
	FD_SET(fd, &writable);
	n = select(fd + 1, &readable, &writable, NULL, &timeout);
	printf("select %d writable %d\n", n, FD_ISSET(fd, &writable) != 0);
}

static void by_epoll(int fd, uint32_t flags)
{
	struct epoll_event event = {.events = EPOLLOUT | flags, .data.u64 = 0x1122334455667788};
	struct epoll_event got = {0};
	int epfd = epoll_create1(EPOLL_CLOEXEC), n;

	if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) == -1)
		perror("epoll_ctl");
	n = epoll_wait(epfd, &got, 1, WAIT_MS);
	printf("epoll %d writable %d data %llx\n", n, (got.events & EPOLLOUT) != 0,
	       (unsigned long long)got.data.u64);
	event.events = EPOLLIN;
	if (epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &event) == -1)
		perror("epoll_ctl");
	close(epfd);
}

/* In the set before its connect, as nginx has it: the socket is writable all the time. */
static int early = -1;

static void by_early_epoll(void)
{
	struct epoll_event got = {0};
	int n = epoll_wait(early, &got, 1, WAIT_MS);

	printf("epoll %d writable %d data %llx\n", n, (got.events & EPOLLOUT) != 0,
	       (unsigned long long)got.data.u64);
	close(early);
}

static bool finish(const char *how, int fd, const struct addrinfo *to)
{
	int error;

	if (strcmp(how, "poll") == 0)
		by_poll(fd);
	else if (strcmp(how, "many") == 0)
		by_many(fd);
	else if (strcmp(how, "select") == 0)
		by_select(fd);
	else if (strcmp(how, "epoll") == 0)
		by_epoll(fd, 0);
	else if (strcmp(how, "edge") == 0)
		by_epoll(fd, EPOLLET | EPOLLRDHUP);
	else if (strcmp(how, "early") == 0)
		by_early_epoll();
	if (strcmp(how, "again") == 0) {
		by_poll(fd);
		/* EISCONN when the first call was already the end of it (connect(2)). */
		error = connect(fd, to->ai_addr, to->ai_addrlen) == 0 || errno == EISCONN ? 0 : errno;
	} else if (strcmp(how, "write") == 0) {
		by_poll(fd);
		error = 0; /* finds out by itself below */
	} else {
		error = socket_error(fd);
	}
	say_error("connect", error);
	return error == 0;
}

static void say_peer(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof peer;
	char host[NI_MAXHOST], port[NI_MAXSERV];

	memset(&peer, 0, sizeof peer);
	if (getpeername(fd, (struct sockaddr *)&peer, &len) == -1) {
		say_error("peer", errno);
		return;
	}
	getnameinfo((struct sockaddr *)&peer, len, host, sizeof host, port, sizeof port,
		    NI_NUMERICHOST | NI_NUMERICSERV);
	printf("peer %s %s length %u\n", host, port, (unsigned)len);
}

/* A server that echoes; every way of reading and writing in turn. */
static void converse(int fd)
{
	char text[] = "0123456789", got[64] = {0};
	struct iovec part = {text, 10};
	size_t have = 0;

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	if (write(fd, text, 10) != 10 || send(fd, text, 10, MSG_NOSIGNAL) != 10 ||
	    writev(fd, &part, 1) != 10) {
		say_error("write", errno);
		return;
	}
	while (have < 30) {
		ssize_t n = recv(fd, got + have, 30 - have, 0);

		if (n <= 0) {
			say_error("read", n == 0 ? EPIPE : errno);
			return;
		}
		have += (size_t)n;
	}
	printf("echo %s\n", got);
}

static void copies(int fd)
{
	int copy = dup(fd), second = dup2(fd, 200), third = fcntl(fd, F_DUPFD_CLOEXEC, 300);
	int fourth = dup3(fd, 400, O_CLOEXEC);

	close(fd);
	say_peer(copy);
	say_peer(second);
	say_peer(third);
	say_peer(fourth);
	close(fourth);
	close(copy);
	close(second);
	printf("closed: %s\n", getpeername(copy, NULL, NULL) == -1 ? strerrorname_np(errno) : "open");
	converse(third);
	close(third);
}

static void in_child(int fd)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		say_peer(fd);
		converse(fd);
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	child = vfork();
	if (child == 0) {
		close(fd);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	say_peer(fd); /* still known: the child's close() was its own */
	close(fd);
}

static volatile sig_atomic_t rang;

static void on_alarm(int number)
{
	(void)number;
	rang = 1;
}

/* A blocking connect under a timer: interrupted without SA_RESTART, unnoticed with it. */
static int interrupted(int fd, const struct addrinfo *to, int flags)
{
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};
	struct itimerval soon = {.it_value = {.tv_usec = 20000}};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	return connect(fd, to->ai_addr, to->ai_addrlen) == 0 ? 0 : errno;
}

static int start(const char *how, int fd, const struct addrinfo *to)
{
	static const char *const waiting[] = {"poll", "many", "select", "epoll",
					      "edge", "again", "write", "asking", "early"};
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u64 = 0x1122};

	if (strcmp(how, "early") == 0) {
		early = epoll_create1(EPOLL_CLOEXEC);
		epoll_ctl(early, EPOLL_CTL_ADD, fd, &event);
	}
	if (strcmp(how, "restart") == 0)
		return interrupted(fd, to, SA_RESTART);
	for (size_t i = 0; i < sizeof waiting / sizeof *waiting; i++)
		if (strcmp(how, waiting[i]) == 0)
			fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	errno = ENOTTY;
	if (connect(fd, to->ai_addr, to->ai_addrlen) == -1)
		return errno;
	if (errno != ENOTTY)
		printf("success changed errno\n");
	return 0;
}

int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *to;
	int fd, error;

	if (argc != 4 || getaddrinfo(argv[2], argv[3], &hints, &to) != 0)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	error = start(argv[1], fd, to);
	if (error == EINPROGRESS || (error == 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0)) {
		if (!finish(argv[1], fd, to))
			error = -1;
	} else {
		say_error("connect", error);
	}
	if (error == 0 || error == EINPROGRESS) {
		if (strcmp(argv[1], "write") != 0)
			say_peer(fd);
		if (strcmp(argv[1], "blocking") == 0) /* and this does no harm */
			say_error("second connect",
				  connect(fd, to->ai_addr, to->ai_addrlen) == 0 ? 0 : errno);
		if (strcmp(argv[1], "copies") == 0) {
			copies(fd);
		} else if (strcmp(argv[1], "child") == 0) {
			in_child(fd);
		} else {
			converse(fd);
			close(fd);
		}
	} else {
		say_peer(fd);
		close(fd);
	}
	freeaddrinfo(to);
	return 0;
}
