#include "carrier.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform.h"

static ssize_t socket_read(struct carrier *carrier, uint8_t *to, size_t len)
{
	ssize_t n;

	do
		n = recv(carrier->fd, to, len, MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	/* A short read has emptied the socket: epoll(7), Q&A 9. */
	carrier->drained = n < (ssize_t)len;
	return n == -1 ? -errno : n;
}

static ssize_t socket_write(struct carrier *carrier, const struct iovec *vectors, int count)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)vectors};
	ssize_t n;

	msg.msg_iovlen = (__typeof__(msg.msg_iovlen))count;
	do
		n = sendmsg(carrier->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -errno : n;
}

static void socket_free(struct carrier *carrier)
{
	close(carrier->fd);
	free(carrier);
}

struct carrier *carrier_of_socket(int fd)
{
	struct carrier *carrier = calloc(1, sizeof *carrier);

	if (carrier == NULL)
		return NULL;
	carrier->fd = fd;
	carrier->read = socket_read;
	carrier->write = socket_write;
	carrier->free = socket_free;
	return carrier;
}
