/* What a static C program does with its network, one thing a run.
 *   closed srv NAME - | udp HOST PORT | fork HOST PORT | pass HOST PORT */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char request[] = "GET / HTTP/1.0\r\n\r\n";

static int dial(const char *host, const char *port, int type)
{
	struct addrinfo hints = {.ai_socktype = type}, *to;
	int fd = -1;

	if (getaddrinfo(host, port, &hints, &to) == 0) {
		fd = socket(to->ai_family, type, 0);
		if (connect(fd, to->ai_addr, to->ai_addrlen) == -1)
			perror("connect");
		freeaddrinfo(to);
	}
	return fd;
}

static void say_peer(int fd)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof peer;

	if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
		printf("%s:%d\n", inet_ntoa(peer.sin_addr), ntohs(peer.sin_port));
}

static void get(int fd)
{
	char got[4096];
	ssize_t n;

	if (write(fd, request, sizeof request - 1) == -1)
		perror("write");
	while ((n = read(fd, got, sizeof got)) > 0)
		fwrite(got, 1, (size_t)n, stdout);
	fflush(stdout);
}

static void srv(const char *name)
{
	unsigned char answer[4096];
	char target[NS_MAXDNAME];
	int len = res_query(name, C_IN, T_SRV, answer, sizeof answer);
	ns_msg message;
	ns_rr record;

	if (len == -1 || ns_initparse(answer, len, &message) == -1 ||
	    ns_parserr(&message, ns_s_an, 0, &record) == -1)
		return;
	/* RFC 2782: priority, weight, port, target. */
	if (dn_expand(answer, answer + len, ns_rr_rdata(record) + 6, target, sizeof target) > 0)
		printf("%s\n", target);
}

static void send_fd(int way, int fd)
{
	char control[CMSG_SPACE(sizeof fd)] = {0}, byte = 'x';
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
				 .msg_controllen = sizeof control};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(head), &fd, sizeof fd);
	if (sendmsg(way, &message, 0) == -1)
		perror("sendmsg");
}

static int receive_fd(int way)
{
	char control[CMSG_SPACE(sizeof(int))] = {0}, byte;
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
				 .msg_controllen = sizeof control};
	int fd = -1;

	if (recvmsg(way, &message, 0) == 1 && CMSG_FIRSTHDR(&message) != NULL)
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
	return fd;
}

/* The child had no socket before: it gets one, or makes its own. */
static void in_child(const char *host, const char *port, int pass)
{
	int pair[2], fd;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1)
		return;
	if (fork() == 0) {
		fd = pass ? receive_fd(pair[1]) : dial(host, port, SOCK_STREAM);
		say_peer(fd);
		get(fd);
		_exit(0);
	}
	if (pass)
		send_fd(pair[0], dial(host, port, SOCK_STREAM));
	wait(NULL);
}

int main(int argc, char **argv)
{
	char got[100] = {0};
	int fd;

	if (argc != 4)
		return 2;
	if (strcmp(argv[1], "srv") == 0) {
		srv(argv[2]);
	} else if (strcmp(argv[1], "udp") == 0) {
		fd = dial(argv[2], argv[3], SOCK_DGRAM);
		if (send(fd, "pods", 4, 0) == 4 && recv(fd, got, sizeof got - 1, 0) > 0)
			printf("%s\n", got);
		say_peer(fd);
	} else {
		in_child(argv[2], argv[3], strcmp(argv[1], "pass") == 0);
	}
	return 0;
}
