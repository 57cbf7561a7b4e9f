#include "io.h"

#include <errno.h>
#include <fcntl.h>

#include "clock.h"
#include "dial.h"
#include "label.h"
#include "platform.h"
#include "real.h"

int io_settle(int fd, int flags)
{
	int before = errno, rc;
	bool wait;

	/* connect(2) by another name, past the server; programs know what to do without it. */
	if ((flags & MSG_FASTOPEN) != 0) {
		errno = EOPNOTSUPP;
		return -1;
	}
	if (atomic_load(&flows_unsettled) == 0 || flow_state(fd) == FLOW_NONE ||
	    flow_state(fd) == FLOW_UP)
		return 0;
	wait = (flags & MSG_DONTWAIT) == 0 && (real(fcntl)(fd, F_GETFL) & O_NONBLOCK) == 0;
	rc = dial_settle(fd, wait);
	errno = rc == 0 ? before : rc == -EALREADY ? EAGAIN : -rc;
	return rc == 0 ? 0 : -1;
}

/* const in one direction only: struct msghdr is for both. */
static struct msghdr message_of(const struct iovec *parts, size_t n, const void *name, socklen_t len)
{
	return (struct msghdr){.msg_iov = (struct iovec *)(uintptr_t)parts,
			       .msg_iovlen = (__typeof__(((struct msghdr *)0)->msg_iovlen))n,
			       .msg_name = (void *)(uintptr_t)name,
			       .msg_namelen = name == NULL ? 0 : len};
}

ssize_t io_send(int fd, const struct iovec *parts, size_t n, int flags, const struct sockaddr *to,
		socklen_t len)
{
	struct msghdr message = message_of(parts, n, to, len);

	return datagram_send(fd, &message, flags);
}

ssize_t io_receive(int fd, const struct iovec *parts, size_t n, int flags, struct sockaddr *from,
		   socklen_t *len)
{
	struct msghdr message = message_of(parts, n, from, len == NULL ? 0 : *len);
	ssize_t got = datagram_receive(fd, &message, flags);

	if (got >= 0 && from != NULL && len != NULL)
		*len = message.msg_namelen;
	return got;
}

static bool passes_descriptors(const struct msghdr *message)
{
	return message->msg_controllen >= sizeof(struct cmsghdr);
}

ssize_t io_sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (passes_descriptors(message))
		label_passed(message);
	if (datagram_wants(fd, message->msg_name, message->msg_namelen))
		return datagram_send(fd, message, flags);
	return io_settle(fd, flags) == -1 ? -1 : real(sendmsg)(fd, message, flags);
}

ssize_t io_recvmsg(int fd, struct msghdr *message, int flags)
{
	if (datagram_relayed(fd))
		return datagram_receive(fd, message, flags);
	return io_settle(fd, flags) == -1 ? -1 : real(recvmsg)(fd, message, flags);
}

#ifdef __linux__
/* sendmmsg(2): an error only if it is the first one's; otherwise how many went. */
int io_sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
	int before = errno;
	bool mine = datagram_relayed(fd);
	unsigned done;

	for (unsigned i = 0; i < n; i++) {
		const struct msghdr *each = &messages[i].msg_hdr;

		mine |= datagram_wants(fd, each->msg_name, each->msg_namelen) ||
			passes_descriptors(each);
	}
	if (!mine)
		return io_settle(fd, flags) == -1 ? -1 : real(sendmmsg)(fd, messages, n, flags);
	for (done = 0; done < n; done++) {
		ssize_t sent = io_sendmsg(fd, &messages[done].msg_hdr, flags);

		if (sent == -1)
			break;
		messages[done].msg_len = (unsigned)sent;
	}
	if (done == 0 && n > 0)
		return -1;
	errno = before;
	return (int)done;
}

/* The timeout is looked at between datagrams, as the kernel does (recvmmsg(2), "BUGS"). */
int io_recvmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags, struct timespec *timeout)
{
	struct deadline deadline = deadline_after(timeout);
	int before = errno;
	unsigned done;

	if (!datagram_relayed(fd))
		return io_settle(fd, flags) == -1
			       ? -1
			       : real(recvmmsg)(fd, messages, n, flags, timeout);
	for (done = 0; done < n; done++) {
		int each = flags & ~MSG_WAITFORONE;
		ssize_t got;

		if (done > 0 && (flags & MSG_WAITFORONE) != 0)
			each |= MSG_DONTWAIT;
		if (done > 0 && timeout != NULL && clock_ns() >= deadline.ns)
			break;
		got = datagram_receive(fd, &messages[done].msg_hdr, each);
		if (got == -1)
			break;
		messages[done].msg_len = (unsigned)got;
	}
	if (done == 0 && n > 0)
		return -1;
	errno = before;
	return (int)done;
}
#endif
