/* The names that the shim takes from libc, for descriptors and for waiting.  One line each; what
 * they do is in hooks.c and wait_*.c.  The other exports_*.c have others.
 *
 * Called by: the program and its libraries, through the dynamic linker (exports.map).
 * Owns: nothing.  Never: decides. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "export.h"
#include "flows.h"
#include "hooks.h"
#include "real.h"
#include "waits.h"

EXPORT(int, connect)(int fd, const struct sockaddr *addr, socklen_t len)
{
	return tp_connect(fd, addr, len);
}

EXPORT(int, getpeername)(int fd, struct sockaddr *addr, socklen_t *len)
{
	return tp_getpeername(fd, addr, len);
}

EXPORT(int, getsockname)(int fd, struct sockaddr *addr, socklen_t *len)
{
	return tp_getsockname(fd, addr, len);
}

EXPORT(int, getsockopt)(int fd, int level, int option, void *value, socklen_t *len)
{
	return tp_getsockopt(fd, level, option, value, len);
}

EXPORT(int, close)(int fd)
{
	return tp_close(fd);
}

EXPORT(int, dup)(int fd)
{
	return tp_dup(fd);
}

EXPORT(int, dup2)(int fd, int to)
{
	return tp_dup2(fd, to);
}

/* The third argument is an int, a pointer or absent; libc reads it the same way. */
#define FCNTL(name)                                                                                \
	EXPORT(int, name)(int fd, int cmd, ...)                                                      \
	{                                                                                          \
		va_list rest;                                                                      \
		void *arg;                                                                         \
                                                                                                   \
		va_start(rest, cmd);                                                               \
		arg = va_arg(rest, void *);                                                        \
		va_end(rest);                                                                      \
		if (cmd != F_DUPFD && cmd != F_DUPFD_CLOEXEC)                                      \
			return real(name)(fd, cmd, arg);                                           \
		return tp_copied(fd, real(name)(fd, cmd, arg));                                    \
	}

FCNTL(fcntl)

EXPORT(int, listen)(int fd, int backlog)
{
	return tp_listen(fd, backlog);
}

EXPORT(int, fclose)(FILE *stream)
{
	tp_closing(stream);
	return real(fclose)(stream);
}

static int poll_ms(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec limit = {timeout / 1000, timeout % 1000 * 1000000L};

	return wait_poll(fds, n, timeout < 0 ? NULL : &limit, NULL);
}

EXPORT(int, poll)(struct pollfd *fds, nfds_t n, int timeout)
{
	return flows_unsettled == 0 ? real(poll)(fds, n, timeout) : poll_ms(fds, n, timeout);
}

EXPORT(int, select)(int n, fd_set *readable, fd_set *writable, fd_set *except,
		    struct timeval *timeout)
{
	struct timespec limit;

	if (flows_unsettled == 0 || (timeout != NULL && (timeout->tv_sec < 0 || timeout->tv_usec < 0)))
		return real(select)(n, readable, writable, except, timeout);
	if (timeout != NULL)
		limit = (struct timespec){timeout->tv_sec, timeout->tv_usec * 1000};
	return wait_select(n, readable, writable, except, timeout == NULL ? NULL : &limit, NULL);
}

EXPORT(int, pselect)(int n, fd_set *readable, fd_set *writable, fd_set *except,
		     const struct timespec *timeout, const sigset_t *mask)
{
	return wait_select(n, readable, writable, except, timeout, mask);
}

#ifdef __linux__
/* glibc's names for the same calls in programs that are built with _FORTIFY_SOURCE. */
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t room);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,
		size_t room);

FCNTL(fcntl64)

EXPORT(int, dup3)(int fd, int to, int flags)
{
	return tp_dup3(fd, to, flags);
}

EXPORT(int, close_range)(unsigned first, unsigned last, int flags)
{
	return tp_close_range(first, last, flags);
}

EXPORT(void, closefrom)(int least)
{
	if (tp_close_range(least < 0 ? 0 : (unsigned)least, ~0U, 0) == -1)
		real(closefrom)(least); /* no such system call */
}

EXPORT(int, ppoll)(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		   const sigset_t *mask)
{
	return wait_poll(fds, n, timeout, mask);
}

EXPORT(int, __poll_chk)(struct pollfd *fds, nfds_t n, int timeout, size_t room)
{
	return flows_unsettled == 0 || n > room / sizeof *fds
		       ? real(__poll_chk)(fds, n, timeout, room)
		       : poll_ms(fds, n, timeout);
}

EXPORT(int, __ppoll_chk)(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
			 const sigset_t *mask, size_t room)
{
	return n > room / sizeof *fds ? real(__ppoll_chk)(fds, n, timeout, mask, room)
				      : wait_poll(fds, n, timeout, mask);
}
#endif

#ifdef __APPLE__
EXPORT_ALSO(connect, "connect$NOCANCEL", _nocancel);
EXPORT_ALSO(close, "close$NOCANCEL", _nocancel);
EXPORT_ALSO(fcntl, "fcntl$NOCANCEL", _nocancel);
EXPORT_ALSO(poll, "poll$NOCANCEL", _nocancel);
EXPORT_ALSO(select, "select", _plain);
EXPORT_ALSO(select, "select$NOCANCEL", _nocancel);
EXPORT_ALSO(select, "select$DARWIN_EXTSN$NOCANCEL", _extended_nocancel);
EXPORT_ALSO(pselect, "pselect", _plain);
EXPORT_ALSO(pselect, "pselect$NOCANCEL", _nocancel);
EXPORT_ALSO(pselect, "pselect$DARWIN_EXTSN$NOCANCEL", _extended_nocancel);
#ifdef __x86_64__
EXPORT_ALSO(select, "select$1050", _1050);
EXPORT_ALSO(pselect, "pselect$1050", _1050);
#endif
#endif
