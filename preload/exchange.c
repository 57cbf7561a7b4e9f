#include "exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "platform.h"
#include "real.h"
#include "shim.h"

int exchange_server(int fd, int family, struct sockaddr_storage *out, socklen_t *len)
{
	const struct settings *settings = shim_settings;
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	int off = 0;

	memset(out, 0, sizeof *out);
	if (settings->server.any.sa_family == family) {
		*len = family == AF_INET ? sizeof settings->server.v4 : sizeof settings->server.v6;
		memcpy(out, &settings->server, *len);
		return 0;
	}
	if (family == AF_INET)
		return -EAFNOSUPPORT; /* a server on IPv6 and a socket for IPv4 */
	/* Not allowed once the socket is bound: then an IPv6-only socket has no way there. */
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	v6.sin6_port = settings->server.v4.sin_port;
	v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(v6.sin6_addr.s6_addr + 12, &settings->server.v4.sin_addr, 4);
	*len = sizeof v6;
	memcpy(out, &v6, sizeof v6);
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t exchange_deadline(int64_t ms)
{
	return now_ms() + ms;
}

int exchange_wait(int fd, short events, int64_t deadline)
{
	while (true) {
		struct pollfd one = {.fd = fd, .events = events};
		int64_t left = deadline == EXCHANGE_FOREVER ? -1 : deadline - now_ms();
		int n;

		if (deadline != EXCHANGE_FOREVER && left <= 0)
			return -ETIMEDOUT;
		n = real(poll)(&one, 1, left > 60000 ? 60000 : (int)left);
		if (n > 0)
			return 0;
		if (n == -1 && errno != EINTR && errno != EAGAIN)
			return -errno;
	}
}

static int socket_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof error;

	return real(getsockopt)(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1 ? -errno : -error;
}

int exchange_reach(int fd, const struct sockaddr_storage *server, socklen_t len, int64_t deadline)
{
	int rc;

	if (real(connect)(fd, (const struct sockaddr *)server, len) == 0)
		return 0;
	if (errno != EINPROGRESS && errno != EINTR)
		return -errno;
	rc = exchange_wait(fd, POLLOUT, deadline);
	return rc == 0 ? socket_error(fd) : rc;
}

int exchange_send(int fd, const uint8_t *bytes, size_t len, int64_t deadline)
{
	while (len > 0) {
		ssize_t n = real(send)(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			int rc = exchange_wait(fd, POLLOUT, deadline);
			if (rc != 0)
				return rc;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

int exchange_receive(int fd, uint8_t *bytes, size_t len, int64_t deadline)
{
	while (len > 0) {
		ssize_t n = real(recv)(fd, bytes, len, MSG_DONTWAIT);

		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (n == 0) {
			return -ECONNRESET;
		} else if (errno == EAGAIN) {
			int rc = exchange_wait(fd, POLLIN, deadline);
			if (rc != 0)
				return rc;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* Message by message, or all in one for a server that takes that.  0 or -errno. */
int exchange_converse(int fd, const struct handshake *shake, struct socks5_answer *out,
		    int64_t deadline)
{
	const bool with_password = shake->userpass_end > shake->greeting_end;
	const size_t ends[] = {shake->greeting_end, shake->userpass_end, shake->request_end};
	const bool pipeline = shim_settings->pipeline;
	uint8_t replies[HANDSHAKE_REPLIES_MAX];
	size_t sent = 0, got = 0, need = 0;

	for (int step = pipeline ? 2 : 0; step < 3; step++) {
		int rc = exchange_send(fd, shake->bytes + sent, ends[step] - sent, deadline);

		if (rc != 0)
			return rc;
		if (step == 1 && !with_password)
			continue;
		sent = ends[step];
		need = step < 2 ? got + 2 : got;
		do {
			ssize_t n;

			rc = exchange_receive(fd, replies + got, need - got, deadline);
			if (rc != 0)
				return rc;
			got = need;
			n = handshake_take(replies, got, with_password, out, &need);
			if (n < 0)
				return (int)n;
			if (n > 0)
				return 0;
		} while (step == 2);
	}
	return -EPROTO;
}

void exchange_dissolve(int fd)
{
	platform_disconnect(fd);
	(void)socket_error(fd); /* the ECONNRESET that Linux leaves behind it */
}

int exchange_aside(int fd, int least)
{
	int aside = fd == -1 || fd >= least ? fd : real(fcntl)(fd, F_DUPFD_CLOEXEC, least);

	/* No room up there (RLIMIT_NOFILE): the next best is above the standard three. */
	if (aside == -1 && fd >= 0 && fd < 3)
		aside = real(fcntl)(fd, F_DUPFD_CLOEXEC, 3);
	if (aside == -1 || aside == fd)
		return fd;
	real(close)(fd);
	return aside;
}

int exchange_open(uint8_t cmd, const struct socks5_addr *addr, struct socks5_answer *out,
		  int64_t deadline)
{
	struct sockaddr_storage server;
	struct handshake shake;
	socklen_t len;
	int fd, rc;

	if (shim_settings == NULL)
		return -ECONNREFUSED;
	rc = handshake_make(shim_settings, cmd, addr, &shake);
	if (rc != 0)
		return rc;
	fd = platform_socket(shim_settings->server.any.sa_family, SOCK_STREAM);
	fd = exchange_aside(fd, 3);
	if (fd == -1)
		return -errno;
	rc = exchange_server(fd, shim_settings->server.any.sa_family, &server, &len);
	if (rc == 0)
		rc = exchange_reach(fd, &server, len, deadline);
	if (rc == 0)
		rc = exchange_converse(fd, &shake, out, deadline);
	if (rc == 0)
		return fd;
	real(close)(fd);
	return rc;
}
