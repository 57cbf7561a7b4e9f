/* Sending and receiving, where a socket is not simply what the kernel has.
 *
 * Called by: exports_io.c, after io_quiet() has said that this socket needs it.
 * Owns: nothing.  Never: in the way of a socket that is joined to its target. */
#ifndef TELEPRESENCE_PRELOAD_IO_H
#define TELEPRESENCE_PRELOAD_IO_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "datagram.h"
#include "flows.h"

/* Nothing in this process is under way or relayed: libc may do it at once. */
static inline bool io_quiet(void)
{
	return (atomic_load_explicit(&flows_unsettled, memory_order_relaxed) |
		atomic_load_explicit(&flows_relayed, memory_order_relaxed)) == 0;
}

/* Before a read or write: 0 go on, or -1 with errno.  flags: MSG_* of send(2). */
int io_settle(int fd, int flags);

/* Parts, an address and flags: all of the calls that send, all that receive. */
ssize_t io_send(int fd, const struct iovec *parts, size_t n, int flags, const struct sockaddr *to,
		socklen_t len);
ssize_t io_receive(int fd, const struct iovec *parts, size_t n, int flags, struct sockaddr *from,
		   socklen_t *len);
ssize_t io_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t io_recvmsg(int fd, struct msghdr *message, int flags);
#ifdef __linux__
int io_sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags);
int io_recvmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags, struct timespec *timeout);
#endif

#endif
