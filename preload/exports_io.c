/* The names of libc that move bytes.  One line each; what they do is in io.c and datagram.c.
 *
 * Called by: the program and its libraries, through the dynamic linker (exports.map).
 * Owns: nothing.  Never: decides; asks the kernel about a socket that is joined to its target. */
#include <unistd.h>

#include "export.h"
#include "io.h"
#include "real.h"

/* Every call ends in one of these: a datagram, or libc's own call once the socket is settled. */
static ssize_t receive(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
		       socklen_t *addr_len)
{
	return io_receive(fd, &(struct iovec){buf, len}, 1, flags, addr, addr_len);
}

static ssize_t transmit(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
			socklen_t addr_len)
{
	const struct iovec part = {(void *)(uintptr_t)buf, len};

	return io_send(fd, &part, 1, flags, addr, addr_len);
}

EXPORT(ssize_t, read)(int fd, void *buf, size_t len)
{
	if (io_quiet())
		return real(read)(fd, buf, len);
	if (datagram_relayed(fd))
		return receive(fd, buf, len, 0, NULL, NULL);
	return io_settle(fd, 0) == -1 ? -1 : real(read)(fd, buf, len);
}

EXPORT(ssize_t, readv)(int fd, const struct iovec *parts, int n)
{
	if (datagram_relayed(fd) && n >= 0)
		return io_receive(fd, parts, (size_t)n, 0, NULL, NULL);
	return io_settle(fd, 0) == -1 ? -1 : real(readv)(fd, parts, n);
}

EXPORT(ssize_t, recv)(int fd, void *buf, size_t len, int flags)
{
	if (datagram_relayed(fd))
		return receive(fd, buf, len, flags, NULL, NULL);
	return io_settle(fd, flags) == -1 ? -1 : real(recv)(fd, buf, len, flags);
}

EXPORT(ssize_t, recvfrom)(int fd, void *restrict buf, size_t len, int flags,
			  struct sockaddr *restrict addr, socklen_t *restrict addr_len)
{
	if (datagram_relayed(fd))
		return receive(fd, buf, len, flags, addr, addr_len);
	return io_settle(fd, flags) == -1 ? -1
					  : real(recvfrom)(fd, buf, len, flags, addr, addr_len);
}

EXPORT(ssize_t, recvmsg)(int fd, struct msghdr *message, int flags)
{
	return io_recvmsg(fd, message, flags);
}

EXPORT(ssize_t, write)(int fd, const void *buf, size_t len)
{
	if (io_quiet())
		return real(write)(fd, buf, len);
	if (datagram_relayed(fd))
		return transmit(fd, buf, len, 0, NULL, 0);
	return io_settle(fd, 0) == -1 ? -1 : real(write)(fd, buf, len);
}

EXPORT(ssize_t, writev)(int fd, const struct iovec *parts, int n)
{
	if (datagram_relayed(fd) && n >= 0)
		return io_send(fd, parts, (size_t)n, 0, NULL, 0);
	return io_settle(fd, 0) == -1 ? -1 : real(writev)(fd, parts, n);
}

EXPORT(ssize_t, send)(int fd, const void *buf, size_t len, int flags)
{
	if (datagram_relayed(fd))
		return transmit(fd, buf, len, flags, NULL, 0);
	return io_settle(fd, flags) == -1 ? -1 : real(send)(fd, buf, len, flags);
}

EXPORT(ssize_t, sendto)(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
			socklen_t addr_len)
{
	if (datagram_wants(fd, addr, addr_len))
		return transmit(fd, buf, len, flags, addr, addr_len);
	return io_settle(fd, flags) == -1 ? -1 : real(sendto)(fd, buf, len, flags, addr, addr_len);
}

EXPORT(ssize_t, sendmsg)(int fd, const struct msghdr *message, int flags)
{
	return io_sendmsg(fd, message, flags);
}

#ifdef __linux__
/* glibc's names for the same calls in programs that are built with _FORTIFY_SOURCE. */
ssize_t __read_chk(int fd, void *buf, size_t len, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t len, size_t room, int flags,
		       struct sockaddr *addr, socklen_t *addr_len);

EXPORT(int, recvmmsg)(int fd, struct mmsghdr *messages, unsigned n, int flags,
		      struct timespec *timeout)
{
	return io_recvmmsg(fd, messages, n, flags, timeout);
}

EXPORT(int, sendmmsg)(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
	return io_sendmmsg(fd, messages, n, flags);
}

EXPORT(ssize_t, __read_chk)(int fd, void *buf, size_t len, size_t room)
{
	if (datagram_relayed(fd) && len <= room)
		return receive(fd, buf, len, 0, NULL, NULL);
	return io_settle(fd, 0) == -1 ? -1 : real(__read_chk)(fd, buf, len, room);
}

EXPORT(ssize_t, __recv_chk)(int fd, void *buf, size_t len, size_t room, int flags)
{
	if (datagram_relayed(fd) && len <= room)
		return receive(fd, buf, len, flags, NULL, NULL);
	return io_settle(fd, flags) == -1 ? -1 : real(__recv_chk)(fd, buf, len, room, flags);
}

EXPORT(ssize_t, __recvfrom_chk)(int fd, void *buf, size_t len, size_t room, int flags,
				struct sockaddr *addr, socklen_t *addr_len)
{
	if (datagram_relayed(fd) && len <= room)
		return receive(fd, buf, len, flags, addr, addr_len);
	return io_settle(fd, flags) == -1
		       ? -1
		       : real(__recvfrom_chk)(fd, buf, len, room, flags, addr, addr_len);
}
#endif

#ifdef __APPLE__
EXPORT_ALSO(read, "read$NOCANCEL", _nocancel);
EXPORT_ALSO(readv, "readv$NOCANCEL", _nocancel);
EXPORT_ALSO(recv, "recv$NOCANCEL", _nocancel);
EXPORT_ALSO(recvfrom, "recvfrom$NOCANCEL", _nocancel);
EXPORT_ALSO(recvmsg, "recvmsg$NOCANCEL", _nocancel);
EXPORT_ALSO(write, "write$NOCANCEL", _nocancel);
EXPORT_ALSO(writev, "writev$NOCANCEL", _nocancel);
EXPORT_ALSO(send, "send$NOCANCEL", _nocancel);
EXPORT_ALSO(sendto, "sendto$NOCANCEL", _nocancel);
EXPORT_ALSO(sendmsg, "sendmsg$NOCANCEL", _nocancel);
#endif
