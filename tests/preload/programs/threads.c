/* Threads that connect in every way, children of fork(2), and a signal handler that uses sockets, all
 * at the same time.   threads HOST PORT */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 8, TURNS = 24, CHILDREN = 12, WAIT_MS = 20000, EVERY_US = 2000, LEAST = 500 };

static struct sockaddr_storage target;
static socklen_t target_len;
static int shared; /* one epoll set for all threads */
static _Atomic int good, rang;

/* signal-safety(7) has all of these. */
static void on_alarm(int number)
{
	int before = errno, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), copy;

	(void)number;
	(void)connect(fd, (struct sockaddr *)&target, target_len);
	(void)poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 0);
	copy = dup(fd);
	close(fd);
	close(copy);
	atomic_fetch_add(&rang, 1);
	errno = before;
}

static bool wait_until_connected(int fd, int turn)
{
	struct epoll_event event = {.events = EPOLLOUT | EPOLLONESHOT, .data.fd = fd};
	struct pollfd one = {.fd = fd, .events = POLLOUT};
	int error = -1, own = turn % 3 == 2 ? shared : epoll_create1(0);
	socklen_t len = sizeof error;

	if (turn % 3 != 0 && epoll_ctl(own, EPOLL_CTL_ADD, fd, &event) == 0 && own != shared)
		while (epoll_wait(own, &event, 1, WAIT_MS) == -1 && errno == EINTR)
			;
	while (poll(&one, 1, WAIT_MS) == -1 && errno == EINTR)
		;
	if (own != shared)
		close(own);
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0;
}

static bool converse(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof peer;
	char got[16];
	size_t have = 0;

	memset(&peer, 0, sizeof peer);
	if (getpeername(fd, (struct sockaddr *)&peer, &len) == -1 ||
	    memcmp(&peer, &target, target_len) != 0 || write(fd, "0123456789", 10) != 10)
		return false;
	while (have < 10) {
		ssize_t n = read(fd, got + have, 10 - have);

		if (n == 0 || (n == -1 && errno != EINTR))
			return false;
		have += n > 0 ? (size_t)n : 0;
	}
	return memcmp(got, "0123456789", 10) == 0;
}

static bool talk(int turn, int number)
{
	int fd = socket(target.ss_family, SOCK_STREAM, 0), copy;
	bool ok;

	if (turn % 4 != 0)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	ok = connect(fd, (struct sockaddr *)&target, target_len) == 0 || errno == EINPROGRESS;
	ok = ok && (turn % 4 == 0 || wait_until_connected(fd, turn));
	fcntl(fd, F_SETFL, 0);
	copy = dup3(fd, LEAST + number, O_CLOEXEC);
	close(fd);
	ok = ok && converse(copy);
	close(copy);
	return ok;
}

static void *run(void *arg)
{
	const int *number = arg;

	for (int i = 0; i < TURNS; i++)
		if (talk(i + *number, *number))
			atomic_fetch_add(&good, 1);
	return NULL;
}

int main(int argc, char **argv)
{
	struct itimerval often = {{0, EVERY_US}, {0, EVERY_US}}, never = {0};
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *to;
	pthread_t threads[THREADS];
	int numbers[THREADS], children = 0;

	if (argc != 3 || getaddrinfo(argv[1], argv[2], &hints, &to) != 0)
		return 2;
	memcpy(&target, to->ai_addr, to->ai_addrlen);
	target_len = to->ai_addrlen;
	freeaddrinfo(to);
	shared = epoll_create1(0);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < THREADS; i++) {
		numbers[i] = i;
		pthread_create(&threads[i], NULL, run, &numbers[i]);
	}
	for (int i = 0; i < CHILDREN; i++) {
		pid_t child = fork();
		int status = -1;

		if (child == 0)
			_exit(talk(i, THREADS) ? 0 : 1);
		while (waitpid(child, &status, 0) == -1 && errno == EINTR)
			;
		children += status == 0;
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	setitimer(ITIMER_REAL, &never, NULL);
	printf("connections %d children %d signals %s\n", atomic_load(&good), children,
	       atomic_load(&rang) > 0 ? "some" : "none");
	return 0;
}
