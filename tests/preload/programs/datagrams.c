/* UDP in the way that argv names; every line it prints is the same with the shim and without.
 * datagrams HOW HOST PORT */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 10000 };

static union {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
} target;
static socklen_t target_len;

static void say(const char *what, ssize_t rc)
{
	printf("%s %zd %s\n", what, rc, rc == -1 ? strerrorname_np(errno) : "");
}

static void say_address(const char *what, const void *address, socklen_t len)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getnameinfo(address, len, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		printf("%s %s %s length %u\n", what, host, port, (unsigned)len);
}

static void wait_for(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};

	printf("poll %d\n", poll(&one, 1, WAIT_MS));
}

static void by_sendto(int fd)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof from;
	char buf[64] = "";
	ssize_t n = sendto(fd, "question", 8, 0, &target.any, target_len);

	say("sendto", n);
	wait_for(fd);
	n = recvfrom(fd, buf, 4, MSG_PEEK, NULL, NULL);
	printf("peek %zd %.4s\n", n, buf);
	n = recvfrom(fd, buf, 4, MSG_PEEK | MSG_TRUNC, NULL, NULL);
	printf("whole length %zd\n", n);
	n = recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &len);
	printf("recvfrom %zd %.*s\n", n, (int)n, buf);
	say_address("from", &from, len);
	say("empty", recv(fd, buf, sizeof buf, MSG_DONTWAIT));
}

static void by_connect(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof peer;
	static char large[70000];
	char buf[64], end[64];
	struct iovec parts[2] = {{"one ", 4}, {"two", 3}}, into[2] = {{buf, 2}, {end, sizeof end}};
	ssize_t n;

	say("peer before", getpeername(fd, (struct sockaddr *)&peer, &len));
	say("connect", connect(fd, &target.any, target_len));
	len = sizeof peer;
	say("getpeername", getpeername(fd, (struct sockaddr *)&peer, &len));
	say_address("peer", &peer, len);
	say("write", write(fd, "written", 7));
	n = read(fd, buf, sizeof buf);
	printf("read %zd %.*s\n", n, (int)n, buf);
	say("send", send(fd, "sent", 4, 0));
	n = recv(fd, buf, 2, MSG_TRUNC);
	printf("recv %zd %.2s\n", n, buf);
	say("writev", writev(fd, parts, 2));
	n = readv(fd, into, 2);
	printf("readv %zd %.2s %.*s\n", n, buf, (int)n - 2, end);
	say("empty send", send(fd, "", 0, 0));
	say("empty recv", recv(fd, buf, sizeof buf, 0));
	say("large", send(fd, large, sizeof large, 0));
	say("disconnect", connect(fd, &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof target.any));
	len = sizeof peer;
	say("peer after", getpeername(fd, (struct sockaddr *)&peer, &len));
	by_sendto(fd);
}

static void by_messages(int fd)
{
	char text[3][8] = {"first", "second", "third"}, got[3][64];
	struct iovec out[3], in[3];
	struct mmsghdr send_them[3] = {0}, receive_them[3] = {0};
	struct sockaddr_storage from[3];
	int n;

	for (int i = 0; i < 3; i++) {
		out[i] = (struct iovec){text[i], strlen(text[i])};
		in[i] = (struct iovec){got[i], sizeof got[i]};
		send_them[i].msg_hdr = (struct msghdr){.msg_iov = &out[i], .msg_iovlen = 1,
						       .msg_name = &target,
						       .msg_namelen = target_len};
		receive_them[i].msg_hdr = (struct msghdr){.msg_iov = &in[i], .msg_iovlen = 1,
							  .msg_name = &from[i],
							  .msg_namelen = sizeof from[i]};
	}
	say("sendmmsg", sendmmsg(fd, send_them, 3, 0));
	for (int i = 0; i < 3; i++)
		printf("sent %u\n", send_them[i].msg_len);
	n = recvmmsg(fd, receive_them, 3, 0, NULL);
	for (int i = 0; i < n; i++) {
		printf("received %u %.*s\n", receive_them[i].msg_len,
		       (int)receive_them[i].msg_len, got[i]);
		say_address("from", &from[i], receive_them[i].msg_hdr.msg_namelen);
	}
}

/* Copies, children and closing loops leave a socket as it is. */
static void by_copies(int fd)
{
	char buf[64];
	ssize_t n;
	pid_t child;
	int copy;

	say("connect", connect(fd, &target.any, target_len));
	copy = dup(fd);
	close(fd);
	for (int i = copy + 1; i < 1024; i++)
		close(i);
	close_range((unsigned)copy + 1, ~0U, 0);
	say("send", send(copy, "copy", 4, 0));
	n = recv(copy, buf, sizeof buf, 0);
	printf("recv %zd %.*s\n", n, (int)n, buf);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		say("send", send(copy, "child", 5, 0));
		n = recv(copy, buf, sizeof buf, 0);
		printf("recv %zd %.*s\n", n, (int)n, buf);
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	say("send", send(copy, "parent", 6, 0));
	n = recv(copy, buf, sizeof buf, 0);
	printf("recv %zd %.*s\n", n, (int)n, buf);
}

/* One socket for the pod and for this machine. */
static void by_both(int fd)
{
	struct sockaddr_in home = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int other = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_storage from;
	socklen_t len = sizeof home;
	char buf[64];
	ssize_t n;

	if (bind(other, (struct sockaddr *)&home, len) == -1 ||
	    getsockname(other, (struct sockaddr *)&home, &len) == -1)
		perror("bind");
	by_sendto(fd);
	say("home", sendto(fd, "hello", 5, 0, (struct sockaddr *)&home, len));
	len = sizeof from;
	n = recvfrom(other, buf, sizeof buf, 0, (struct sockaddr *)&from, &len);
	say("back", sendto(other, "a longer answer", 15, 0, (struct sockaddr *)&from, len));
	len = sizeof from;
	n = recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &len);
	printf("recvfrom %zd %.*s from home %d\n", n, (int)n, buf,
	       memcmp(&from, &home, 8) == 0);
	by_sendto(fd);
}

/* A connected socket that also sends to somebody else, whose answer it does not want to hear. */
static void by_elsewhere(int fd)
{
	struct sockaddr_in other = target.v4;
	struct sockaddr_storage from;
	socklen_t len = sizeof from;
	char buf[64];
	ssize_t n;

	other.sin_addr.s_addr = inet_addr("198.18.0.5");
	say("connect", connect(fd, &target.any, target_len));
	say("named", sendto(fd, "named", 5, 0, &target.any, target_len));
	n = recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &len);
	printf("recvfrom %zd %.*s\n", n, (int)n, buf);
	say_address("from", &from, len);
	say("other", sendto(fd, "other", 5, 0, (struct sockaddr *)&other, sizeof other));
	say("send", send(fd, "first", 5, 0));
	n = recv(fd, buf, sizeof buf, 0);
	printf("recv %zd %.*s\n", n, (int)n, buf);
	say("connect", connect(fd, (struct sockaddr *)&other, sizeof other));
	say("send", send(fd, "again", 5, 0));
	n = recv(fd, buf, sizeof buf, 0);
	printf("recv %zd %.*s\n", n, (int)n, buf);
}

/* Where there may be no way. */
static void by_attempt(int fd)
{
	say("sendto", sendto(fd, "question", 8, 0, &target.any, target_len));
	say("connect", connect(fd, &target.any, target_len));
}

int main(int argc, char **argv)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM,
				       .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found;
	int fd;

	if (argc != 4 || getaddrinfo(argv[2], argv[3], &hints, &found) != 0)
		return 2;
	memcpy(&target, found->ai_addr, found->ai_addrlen);
	target_len = found->ai_addrlen;
	fd = socket(found->ai_family, SOCK_DGRAM, 0);
	freeaddrinfo(found);
	if (strcmp(argv[1], "sendto") == 0)
		by_sendto(fd);
	else if (strcmp(argv[1], "connect") == 0)
		by_connect(fd);
	else if (strcmp(argv[1], "messages") == 0)
		by_messages(fd);
	else if (strcmp(argv[1], "copies") == 0)
		by_copies(fd);
	else if (strcmp(argv[1], "attempt") == 0)
		by_attempt(fd);
	else if (strcmp(argv[1], "elsewhere") == 0)
		by_elsewhere(fd);
	else if (strcmp(argv[1], "both") == 0)
		by_both(fd);
	else
		return 2;
	close(fd);
	return 0;
}
