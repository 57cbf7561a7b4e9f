#include "udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datagrams.h"
#include "platform.h"

_Static_assert((int)UDP_BATCH <= (int)DATAGRAMS_MAX, "a batch is one call");

enum { BUFFER_BYTES = 1024 * 1024 }; /* asked for; the kernel gives what its limits allow (socket(7)) */

void udp_join(struct udp_half *a, struct udp_half *b)
{
	a->other = b;
	b->other = a;
}

void udp_close(struct udp_half *half)
{
	struct udp_half *other = half->other;

	half->close(half);
	if (other != NULL)
		other->close(other);
}

void udp_count(struct engine *engine, bool passed)
{
	if (passed)
		engine->counters.datagrams++;
	else
		engine->counters.datagrams_dropped++;
}

struct udp_batch *udp_batch(struct engine *engine)
{
	if (engine->udp == NULL)
		engine->udp = malloc(sizeof *engine->udp);
	return engine->udp;
}

int udp_socket(int family, union address *bound)
{
	int one = 1, size = BUFFER_BYTES;
	socklen_t len;
	int fd = datagram_socket(family);

	if (fd < 0)
		return fd;
	if (family == AF_INET6 && bound == NULL) /* else it is as its address has it */
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	if (bound == NULL)
		return fd;
	len = sizeof *bound;
	if (bind(fd, &bound->any, address_len(bound)) == -1 || getsockname(fd, &bound->any, &len) == -1) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

int udp_receive(struct udp_batch *batch, int fd, bool *readable)
{
	struct datagram arrived[UDP_BATCH];
	int n;

	for (size_t i = 0; i < UDP_BATCH; i++)
		arrived[i] = (struct datagram){
			.from = &batch->from[i],
			.data = batch->slots[i].data,
			.room = sizeof batch->slots[i].data,
		};
	n = datagrams_receive(fd, arrived, UDP_BATCH);
	if (n < 0) {
		/* Most others are ICMP's news of a datagram of the past, and are read away like this. */
		*readable = n != -EAGAIN && n != -ENOMEM && n != -ENOBUFS;
		return 0;
	}
	/* Fewer than asked for: the queue was empty, and an arrival after that is a new edge. */
	*readable = n == UDP_BATCH;
	for (int i = 0; i < n; i++)
		batch->len[i] = arrived[i].len;
	return n;
}

int udp_send(int fd, const union address *to, const uint8_t *data, size_t len)
{
	socklen_t to_len = to == NULL ? 0 : address_len(to);
	ssize_t n;

	/* The first try may report what ICMP said about an earlier datagram. */
	for (int i = 0; i < 2; i++) {
		n = sendto(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT, to == NULL ? NULL : &to->any, to_len);
		if (n != -1 || (errno != ECONNREFUSED && errno != EINTR))
			break;
	}
	return n == -1 ? -errno : 0;
}
