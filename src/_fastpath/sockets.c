#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform.h"

/* Not on Unix sockets. */
static void hurry(int fd)
{
	int one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

int socket_prepare(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
		return -errno;
#ifdef SO_NOSIGPIPE
	int one = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof one);
#endif
	hurry(fd);
	return 0;
}

/* One call where Linux has one: accept4(2), socket(2). */
#if PLATFORM_LINUX
static int prepared(int fd)
{
	if (fd == -1)
		return -errno;
	hurry(fd);
	return fd;
}

int socket_accept(int listener)
{
	return prepared(accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

int socket_open(int family)
{
	return prepared(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

int socket_pair(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == -1
		       ? -errno
		       : 0;
}

void socket_unpaced(int fd)
{
	(void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}
#else
static int prepared(int fd)
{
	int rc = fd == -1 ? -errno : socket_prepare(fd);

	if (fd != -1 && rc != 0)
		close(fd);
	return rc != 0 ? rc : fd;
}

int socket_accept(int listener)
{
	return prepared(accept(listener, NULL, NULL));
}

int socket_open(int family)
{
	return prepared(socket(family, SOCK_STREAM, 0));
}

int socket_pair(int ends[2])
{
	int rc = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == -1)
		return -errno;
	for (int i = 0; i < 2 && rc == 0; i++)
		rc = socket_prepare(ends[i]);
	if (rc != 0) {
		close(ends[0]);
		close(ends[1]);
	}
	return rc;
}

void socket_unpaced(int fd)
{
	(void)fd;
}
#endif

void socket_reset(int fd)
{
	struct linger linger = {1, 0};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(fd);
}
