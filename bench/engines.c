/* What bench/engines.py and bench/shim.py time, from within: one line a round, in microseconds.
 *   engines connect|parallel|echo|message HOST PORT ROUNDS        engines start - - ROUNDS */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BYTES = 64, PARALLEL = 100 };

static struct sockaddr_in target = {.sin_family = AF_INET};

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&target, sizeof target) == -1) {
		perror("connect");
		exit(1);
	}
	return fd;
}

static void trip(int fd, int by_message)
{
	char bytes[BYTES] = {0};
	struct iovec part = {bytes, sizeof bytes};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t sent = by_message ? sendmsg(fd, &message, 0) : write(fd, bytes, sizeof bytes);

	for (ssize_t left = sent; left > 0;) {
		ssize_t n = read(fd, bytes, (size_t)left);

		if (n <= 0)
			exit(1);
		left -= n;
	}
}

/* As an event loop has it: all are begun before any is waited for. */
static void parallel(void)
{
	struct pollfd all[PARALLEL];
	int left = PARALLEL;

	for (int i = 0; i < PARALLEL; i++) {
		all[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		all[i].events = POLLOUT;
		if (connect(all[i].fd, (struct sockaddr *)&target, sizeof target) == -1 &&
		    errno != EINPROGRESS)
			exit(1);
	}
	while (left > 0) {
		if (poll(all, PARALLEL, 10000) <= 0)
			exit(1);
		for (int i = 0; i < PARALLEL; i++) {
			int error = 0;
			socklen_t len = sizeof error;

			if (all[i].fd < 0 || all[i].revents == 0)
				continue;
			getsockopt(all[i].fd, SOL_SOCKET, SO_ERROR, &error, &len);
			if (error != 0)
				exit(1);
			close(all[i].fd);
			all[i].fd = -1;
			left--;
		}
	}
}

static void start(void)
{
	pid_t child = fork();

	if (child == 0) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	int rounds = argc == 5 ? atoi(argv[4]) : 0, fd = -1;

	if (rounds <= 0)
		return 2;
	inet_pton(AF_INET, argv[2], &target.sin_addr);
	target.sin_port = htons((in_port_t)atoi(argv[3]));
	if (strcmp(argv[1], "echo") == 0 || strcmp(argv[1], "message") == 0)
		fd = dial();
	for (int i = 0; i < rounds; i++) {
		double began = now_us();

		if (strcmp(argv[1], "connect") == 0)
			fd = dial();
		else if (strcmp(argv[1], "parallel") == 0)
			parallel();
		else if (strcmp(argv[1], "start") == 0)
			start();
		else
			trip(fd, strcmp(argv[1], "message") == 0);
		printf("%.2f\n", now_us() - began);
		if (strcmp(argv[1], "connect") == 0)
			close(fd);
	}
	return 0;
}
