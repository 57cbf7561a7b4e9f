/* Where systems differ, but for whole files: what has another name, or none, on one of them.
 *
 * Called by: every file that uses it.
 * Owns: nothing.  Never: decides anything for the shim.
 *
 * Files for one system alone: epoll_list.c, exports_epoll.c, exports_syscall.c, facts_linux.c,
 * real.c, wait_epoll.c; exports_kqueue.c, exports_macos.c, facts_macos.c,
 * start_mirrored.c, wait_kqueue.c. */
#ifndef TELEPRESENCE_PRELOAD_PLATFORM_H
#define TELEPRESENCE_PRELOAD_PLATFORM_H

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "real.h"

#ifdef __APPLE__
#include <fcntl.h>

/* Flags of Linux that no caller can have set here, or that are only a hint. */
#define AI_CANONIDN 0
#define AI_IDN 0
#define MSG_ERRQUEUE 0
#define MSG_FASTOPEN 0
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

#define UDP_SEGMENT (-1) /* no control message's type */

/* poll(2) of xnu tells POLLHUP, where it is asked for, when the peer has shut its side. */
#define POLLRDHUP POLLHUP

/* No ppoll(2): so nobody can have asked for a mask either. */
static inline int platform_poll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
				const sigset_t *mask)
{
	(void)mask;
	return poll(fds, n,
		    timeout == NULL ? -1
				    : (int)(timeout->tv_sec * 1000 +
					    (timeout->tv_nsec + 999999) / 1000000));
}

static inline int platform_socket(int family, int type)
{
	int fd = socket(family, type, 0);

	if (fd != -1)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

/* The socket is then one that cannot be connected again, as after any failed connect(2) of a BSD. */
static inline void platform_disconnect(int fd)
{
	(void)disconnectx(fd, SAE_ASSOCID_ANY, SAE_CONNID_ANY);
}

static inline const char *platform_error(int error, char *text, size_t room)
{
	return strerror_r(error, text, room) == 0 ? text : "?";
}

static inline void platform_wipe(void *secret, size_t len)
{
	for (volatile char *at = secret; len > 0; len--)
		*at++ = 0;
}
#else
#define platform_poll real(ppoll)

static inline int platform_socket(int family, int type)
{
	return socket(family, type | SOCK_CLOEXEC, 0);
}

static inline void platform_disconnect(int fd)
{
	const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

	(void)real(connect)(fd, &nowhere, sizeof nowhere);
}

static inline const char *platform_error(int error, char *text, size_t room)
{
	return strerror_r(error, text, room);
}

static inline void platform_wipe(void *secret, size_t len)
{
	explicit_bzero(secret, len);
}
#endif

#endif
