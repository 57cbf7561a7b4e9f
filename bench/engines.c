/* What bench/engines.py times, from within: one line a round, in microseconds.
 *   engines connect|echo|message HOST PORT ROUNDS        engines start - - ROUNDS */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BYTES = 64 };

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
