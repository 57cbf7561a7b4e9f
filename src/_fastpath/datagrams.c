#include "datagrams.h"

#include <errno.h>
#include <sys/socket.h>

#include "platform.h"
#include "sockets.h"

/* One call where Linux has one: socket(2), recvmmsg(2). */
#if PLATFORM_LINUX
int datagram_socket(int family)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd == -1 ? -errno : fd;
}

int datagrams_receive(int fd, struct datagram *datagrams, int max)
{
	struct mmsghdr messages[DATAGRAMS_MAX];
	struct iovec vectors[DATAGRAMS_MAX];
	int n;

	for (int i = 0; i < max; i++) {
		vectors[i] = (struct iovec){datagrams[i].data, datagrams[i].room};
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = datagrams[i].from,
			.msg_namelen = sizeof *datagrams[i].from,
			.msg_iov = &vectors[i],
			.msg_iovlen = 1,
		};
	}
	n = recvmmsg(fd, messages, (unsigned)max, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		datagrams[i].len = messages[i].msg_len;
	return n == -1 ? -errno : n;
}
#else
#include <unistd.h>

int datagram_socket(int family)
{
	int fd = socket(family, SOCK_DGRAM, 0);
	int rc = fd == -1 ? -errno : socket_prepare(fd);

	if (fd != -1 && rc != 0)
		close(fd);
	return rc != 0 ? rc : fd;
}

int datagrams_receive(int fd, struct datagram *datagrams, int max)
{
	int n = 0, failures = 0;

	while (n < max) {
		socklen_t from_len = sizeof *datagrams[n].from;
		ssize_t len = recvfrom(fd, datagrams[n].data, datagrams[n].room, MSG_DONTWAIT,
				       &datagrams[n].from->any, &from_len);

		if (len >= 0)
			datagrams[n++].len = (size_t)len;
		else if (n == 0 || errno == EAGAIN || ++failures > max)
			return n == 0 ? -errno : n;
		/* else ICMP's news of a datagram of the past: behind it there may be more */
	}
	return n;
}
#endif
