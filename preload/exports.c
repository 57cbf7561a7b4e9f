/* The names that the shim takes from libc.  One line each; what they do is in hooks.c, names.c,
 * hosts.c and wait_*.c.
 *
 * Called by: the program and its libraries, through the dynamic linker (exports.map).
 * Owns: nothing.  Never: decides. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/uio.h>
#include <unistd.h>

#include "flows.h"
#include "hooks.h"
#include "real.h"
#include "waits.h"

#define EXPORT __attribute__((visibility("default")))

/* glibc's names for the same calls in programs that are built with _FORTIFY_SOURCE. */
ssize_t __read_chk(int fd, void *buf, size_t len, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t room, int flags,
		       struct sockaddr *addr, socklen_t *addr_len);
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t room);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,
		size_t room);

EXPORT int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return tp_connect(fd, addr, len);
}

EXPORT int getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	return tp_getpeername(fd, addr, len);
}

EXPORT int getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	return tp_getsockopt(fd, level, option, value, len);
}

EXPORT int close(int fd)
{
	return tp_close(fd);
}

EXPORT int dup(int fd)
{
	return tp_dup(fd);
}

EXPORT int dup2(int fd, int to)
{
	return tp_dup2(fd, to);
}

EXPORT int dup3(int fd, int to, int flags)
{
	return tp_dup3(fd, to, flags);
}

/* The third argument is an int, a pointer or absent; libc reads it the same way. */
#define FCNTL(name)                                                                                \
	EXPORT int name(int fd, int cmd, ...)                                                      \
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
FCNTL(fcntl64)

EXPORT int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		       struct addrinfo **out)
{
	return tp_getaddrinfo(name, service, hints, out);
}

EXPORT struct hostent *gethostbyname(const char *name)
{
	return tp_gethostbyname(name, AF_UNSPEC);
}

EXPORT struct hostent *gethostbyname2(const char *name, int family)
{
	return tp_gethostbyname(name, family);
}

EXPORT int gethostbyname_r(const char *name, struct hostent *host, char *buf, size_t room,
			   struct hostent **out, int *h_error)
{
	return tp_gethostbyname_r(name, AF_UNSPEC, host, buf, room, out, h_error);
}

EXPORT int gethostbyname2_r(const char *name, int family, struct hostent *host, char *buf,
			    size_t room, struct hostent **out, int *h_error)
{
	return tp_gethostbyname_r(name, family, host, buf, room, out, h_error);
}

static int poll_ms(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec limit = {timeout / 1000, timeout % 1000 * 1000000L};

	return wait_poll(fds, n, timeout < 0 ? NULL : &limit, NULL);
}

EXPORT int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	return flows_unsettled == 0 ? real(poll)(fds, n, timeout) : poll_ms(fds, n, timeout);
}

EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		 const sigset_t *mask)
{
	return wait_poll(fds, n, timeout, mask);
}

EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t room)
{
	return flows_unsettled == 0 || n > room / sizeof *fds
		       ? real(__poll_chk)(fds, n, timeout, room)
		       : poll_ms(fds, n, timeout);
}

EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		       const sigset_t *mask, size_t room)
{
	return n > room / sizeof *fds ? real(__ppoll_chk)(fds, n, timeout, mask, room)
				      : wait_poll(fds, n, timeout, mask);
}

EXPORT int select(int n, fd_set *readable, fd_set *writable, fd_set *except,
		  struct timeval *timeout)
{
	struct timespec limit;

	if (flows_unsettled == 0 || (timeout != NULL && (timeout->tv_sec < 0 || timeout->tv_usec < 0)))
		return real(select)(n, readable, writable, except, timeout);
	if (timeout != NULL)
		limit = (struct timespec){timeout->tv_sec, timeout->tv_usec * 1000};
	return wait_select(n, readable, writable, except, timeout == NULL ? NULL : &limit, NULL);
}

EXPORT int pselect(int n, fd_set *readable, fd_set *writable, fd_set *except,
		   const struct timespec *timeout, const sigset_t *mask)
{
	return wait_select(n, readable, writable, except, timeout, mask);
}

EXPORT int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	return wait_epoll_ctl(epfd, op, fd, event);
}

EXPORT int epoll_wait(int epfd, struct epoll_event *events, int room, int timeout)
{
	return wait_epoll(epfd, events, room, timeout, NULL);
}

EXPORT int epoll_pwait(int epfd, struct epoll_event *events, int room, int timeout,
		       const sigset_t *mask)
{
	return wait_epoll(epfd, events, room, timeout, mask);
}

EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	return tp_settle_io(fd, 0) == -1 ? -1 : real(read)(fd, buf, len);
}

EXPORT ssize_t readv(int fd, const struct iovec *parts, int n)
{
	return tp_settle_io(fd, 0) == -1 ? -1 : real(readv)(fd, parts, n);
}

EXPORT ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	return tp_settle_io(fd, flags) == -1 ? -1 : real(recv)(fd, buf, len, flags);
}

EXPORT ssize_t recvfrom(int fd, void *restrict buf, size_t len, int flags,
			struct sockaddr *restrict addr, socklen_t *restrict addr_len)
{
	return tp_settle_io(fd, flags) == -1 ? -1
					     : real(recvfrom)(fd, buf, len, flags, addr, addr_len);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	return tp_settle_io(fd, flags) == -1 ? -1 : real(recvmsg)(fd, message, flags);
}

EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	return tp_settle_io(fd, 0) == -1 ? -1 : real(write)(fd, buf, len);
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int n)
{
	return tp_settle_io(fd, 0) == -1 ? -1 : real(writev)(fd, parts, n);
}

EXPORT ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	return tp_settle_io(fd, flags) == -1 ? -1 : real(send)(fd, buf, len, flags);
}

EXPORT ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
		      socklen_t addr_len)
{
	return tp_settle_io(fd, flags) == -1 ? -1 : real(sendto)(fd, buf, len, flags, addr, addr_len);
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return tp_settle_io(fd, flags) == -1 ? -1 : real(sendmsg)(fd, message, flags);
}

EXPORT ssize_t __read_chk(int fd, void *buf, size_t len, size_t room)
{
	return tp_settle_io(fd, 0) == -1 ? -1 : real(__read_chk)(fd, buf, len, room);
}

EXPORT ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags)
{
	return tp_settle_io(fd, flags) == -1 ? -1 : real(__recv_chk)(fd, buf, len, room, flags);
}

EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t room, int flags,
			      struct sockaddr *addr, socklen_t *addr_len)
{
	return tp_settle_io(fd, flags) == -1
		       ? -1
		       : real(__recvfrom_chk)(fd, buf, len, room, flags, addr, addr_len);
}
