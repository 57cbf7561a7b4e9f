/* UDP in the way that argv names; every line it prints is the same in the pod's network and without.
 *   post HOW HOST PORT: the server echoes */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { WAIT_MS = 10000, PIECES = 3, LONG = 60000 };

static const struct addrinfo *to;

static void say_error(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
}

static void say_source(const struct sockaddr_storage *from, socklen_t len)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getnameinfo((const struct sockaddr *)from, len, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		printf("from %s %s length %u\n", host, port, (unsigned)len);
	else
		printf("from nobody\n");
}

static void say_peer(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof peer;

	if (getpeername(fd, (struct sockaddr *)&peer, &len) == -1)
		say_error("peer");
	else
		say_source(&peer, len);
}

static void wait_for(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};

	if (poll(&one, 1, WAIT_MS) != 1)
		printf("nothing came\n");
}

static void receive_from(int fd, int flags)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof from;
	char got[128] = {0};
	ssize_t n = recvfrom(fd, got, sizeof got - 1, flags, (struct sockaddr *)&from, &len);

	if (n == -1) {
		say_error("recvfrom");
		return;
	}
	printf("%zd: %s\n", n, got);
	say_source(&from, len);
}

/* Two parts, and a control message that says which port it came to. */
static void by_messages(int fd)
{
	char first[] = "first ", second[] = "second", got[2][8] = {{0}};
	struct iovec parts[2] = {{first, 6}, {second, 6}}, into[2] = {{got[0], 4}, {got[1], 7}};
	struct sockaddr_storage from;
	struct msghdr out = {to->ai_addr, to->ai_addrlen, parts, 2, NULL, 0, 0};
	struct msghdr in = {&from, sizeof from, into, 2, NULL, 0, 0};
	ssize_t n = sendmsg(fd, &out, 0);

	printf("sent %zd\n", n);
	n = recvmsg(fd, &in, 0);
	printf("%zd: %s|%s truncated %d\n", n, got[0], got[1], (in.msg_flags & MSG_TRUNC) != 0);
	say_source(&from, in.msg_namelen);
}

static void by_several(int fd)
{
	char texts[PIECES][4] = {"one", "two", "six"}, got[PIECES][8] = {{0}};
	struct mmsghdr out[PIECES] = {0}, in[PIECES] = {0};
	struct iovec parts[PIECES], into[PIECES];
	struct sockaddr_storage from[PIECES];

	for (int i = 0; i < PIECES; i++) {
		parts[i] = (struct iovec){texts[i], 3};
		into[i] = (struct iovec){got[i], 7};
		out[i].msg_hdr = (struct msghdr){to->ai_addr, to->ai_addrlen, &parts[i], 1, NULL, 0, 0};
		in[i].msg_hdr = (struct msghdr){&from[i], sizeof from[i], &into[i], 1, NULL, 0, 0};
	}
	printf("sent %d\n", sendmmsg(fd, out, PIECES, 0));
	for (int have = 0, n; have < PIECES; have += n) {
		n = recvmmsg(fd, in + have, (unsigned)(PIECES - have), MSG_WAITFORONE, NULL);
		if (n <= 0) {
			say_error("recvmmsg");
			return;
		}
	}
	for (int i = 0; i < PIECES; i++) {
		printf("%u: %s\n", in[i].msg_len, got[i]);
		say_source(&from[i], in[i].msg_hdr.msg_namelen);
	}
}

static void connected(int fd)
{
	static char sent[LONG], got[LONG + 1];

	if (connect(fd, to->ai_addr, to->ai_addrlen) == -1)
		say_error("connect");
	say_peer(fd);
	if (send(fd, "hello", 5, 0) != 5 || write(fd, "again", 5) != 5)
		say_error("send");
	receive_from(fd, 0);
	receive_from(fd, 0);
	memset(sent, 'x', sizeof sent);
	printf("sent %zd\n", write(fd, sent, sizeof sent));
	printf("read %zd\n", read(fd, got, sizeof got));
	printf("same %d\n", memcmp(sent, got, sizeof sent) == 0);
	connect(fd, &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(struct sockaddr));
	say_peer(fd);
}

static void on_alarm(int number)
{
	(void)number;
}

/* Nothing comes: each way of not waiting for ever. */
static void in_vain(int fd)
{
	struct sigaction action = {.sa_handler = on_alarm};
	struct timeval limit = {.tv_usec = 50000};
	struct itimerval soon = {.it_value = {.tv_usec = 50000}};

	sendto(fd, "once", 4, 0, to->ai_addr, to->ai_addrlen);
	receive_from(fd, MSG_DONTWAIT);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	receive_from(fd, 0);
	limit.tv_usec = 0;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	receive_from(fd, 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	receive_from(fd, 0);
	sendto(fd, "twice", 5, 0, to->ai_addr, to->ai_addrlen);
	wait_for(fd);
	receive_from(fd, 0);
}

int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST}, *found;
	int fd;

	if (argc != 4 || getaddrinfo(argv[2], argv[3], &hints, &found) != 0)
		return 2;
	to = found;
	fd = socket(to->ai_family, SOCK_DGRAM, 0);
	if (strcmp(argv[1], "connected") == 0) {
		connected(fd);
	} else if (strcmp(argv[1], "messages") == 0) {
		by_messages(fd);
	} else if (strcmp(argv[1], "several") == 0) {
		by_several(fd);
	} else if (strcmp(argv[1], "in-vain") == 0) {
		in_vain(fd);
	} else {
		sendto(fd, "hello", 5, 0, to->ai_addr, to->ai_addrlen);
		if (strcmp(argv[1], "poll") == 0)
			wait_for(fd);
		receive_from(fd, MSG_PEEK);
		receive_from(fd, 0);
		say_peer(fd);
	}
	close(fd);
	freeaddrinfo(found);
	return 0;
}
