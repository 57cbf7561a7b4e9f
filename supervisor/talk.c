#include "talk.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static bool with_password(const struct talk *talk)
{
	return talk->shake.userpass_end > talk->shake.greeting_end;
}

int talk_begin(struct talk *talk, const struct settings *settings, uint8_t cmd,
	       const struct socks5_addr *addr)
{
	int rc;

	memset(talk, 0, sizeof *talk);
	talk->settings = settings;
	rc = handshake_make(settings, cmd, addr, &talk->shake);
	if (rc != 0)
		return rc;
	if (settings->pipeline) {
		talk->until = talk->shake.request_end;
		(void)handshake_take(NULL, 0, with_password(talk), &talk->answer, &talk->need);
	} else { /* a server of another make gets message by message */
		talk->until = talk->shake.greeting_end;
		talk->need = 2;
	}
	return 0;
}

/* The server's address for a socket of this family: its length, or 0 when there is none. */
static socklen_t server_for(const struct settings *settings, int fd, int family,
			    struct sockaddr_storage *out)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = settings->server.v4.sin_port};
	int off = 0;

	memset(out, 0, sizeof *out);
	if (settings->server.any.sa_family == family) {
		memcpy(out, &settings->server, sizeof settings->server);
		return family == AF_INET ? sizeof settings->server.v4 : sizeof settings->server.v6;
	}
	if (family == AF_INET)
		return 0; /* a server on IPv6 and a socket for IPv4 */
	/* Not allowed once the socket is bound: then an IPv6-only socket has no way there. */
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(v6.sin6_addr.s6_addr + 12, &settings->server.v4.sin_addr, 4);
	memcpy(out, &v6, sizeof v6);
	return sizeof v6;
}

int talk_reach(const struct settings *settings, int fd, int family)
{
	struct sockaddr_storage server;
	const struct sockaddr *to = (const struct sockaddr *)&server;
	socklen_t len = server_for(settings, fd, family, &server);
	int flags = fcntl(fd, F_GETFL), off = 0, error = 0;

	if (len == 0)
		return EAFNOSUPPORT;
	/* With it connect(2) would only pretend, until the program's first bytes. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &off, sizeof off);
	if ((flags & O_NONBLOCK) == 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	if (connect(fd, to, len) == -1)
		error = errno;
	/* The server is on this machine: by now it has answered.  The second call hears of it, which
	 * makes the connection complete for every later connect(2), too. */
	if (error == EINPROGRESS && connect(fd, to, len) == 0)
		error = 0;
	else if (error == EINPROGRESS)
		error = errno == EALREADY ? EINPROGRESS : errno;
	if ((flags & O_NONBLOCK) == 0)
		(void)fcntl(fd, F_SETFL, flags);
	return error;
}

/* What lies in shake until `until`: 1 all sent, 0 later, -errno. */
static int send_more(struct talk *talk, int fd)
{
	while (talk->sent < talk->until) {
		ssize_t n = send(fd, talk->shake.bytes + talk->sent, talk->until - talk->sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n == -1)
			return errno == EAGAIN ? 0 : -errno;
		talk->sent += (size_t)n;
	}
	return 1;
}

/* 1 all that is needed now is there, 0 later, -errno. */
static int receive_more(struct talk *talk, int fd)
{
	while (talk->got < talk->need) {
		ssize_t n = recv(fd, talk->replies + talk->got, talk->need - talk->got, MSG_DONTWAIT);

		if (n == -1)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (n == 0)
			return -ECONNRESET;
		talk->got += (size_t)n;
	}
	return 1;
}

/* What the replies say so far: 1 it is over, 0 there is more, -errno. */
static int judge(struct talk *talk)
{
	const struct handshake *shake = &talk->shake;
	ssize_t n = handshake_take(talk->replies, talk->got, with_password(talk), &talk->answer,
				   &talk->need);

	if (n != 0)
		return n < 0 ? (int)n : 1;
	if (talk->until < shake->request_end) { /* the next message */
		talk->until = talk->until < shake->userpass_end ? shake->userpass_end
								: shake->request_end;
		if (talk->until < shake->request_end)
			talk->need = talk->got + 2;
	}
	return 0;
}

int talk_go_on(struct talk *talk, int fd, uint32_t *events)
{
	int rc;

	do {
		*events = EPOLLOUT | EPOLLRDHUP;
		rc = send_more(talk, fd);
		if (rc != 1)
			return rc;
		*events = EPOLLIN | EPOLLRDHUP;
		rc = receive_more(talk, fd);
		if (rc != 1)
			return rc;
		rc = judge(talk);
	} while (rc == 0);
	return rc;
}

int talk_open(struct talk *talk, const struct settings *settings, uint8_t cmd,
	      const struct socks5_addr *addr, uint32_t *events)
{
	int family = settings->server.any.sa_family;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc = fd == -1 ? -errno : talk_begin(talk, settings, cmd, addr);

	if (rc == 0)
		rc = -talk_reach(settings, fd, family);
	*events = EPOLLOUT | EPOLLRDHUP;
	if (rc == 0 || rc == -EINPROGRESS)
		return fd;
	if (fd != -1)
		close(fd);
	return rc;
}
