/* A UDP association: two halves that hand each other datagrams.
 *
 * Called by: server.c and opening.c, which join the halves; the halves themselves.
 * Owns: nothing.
 * Never: waits.  What cannot be passed on at once is dropped and counted, as UDP allows.
 *
 * The halves: udp_inlet.c, the client's side of an association; udp_stream.c, one end of a stream of the
 * tunnel; udp_outlet.c, the sockets that face the network.  A laptop joins inlet and stream, the
 * agent stream and outlet, a server without a tunnel inlet and outlet.
 * A message is the header of RFC 1928 section 7 with the payload behind it. */
#ifndef TELEPRESENCE_UDP_H
#define TELEPRESENCE_UDP_H

#include "address.h"
#include "loop.h"

enum {
	UDP_BATCH = 16,		/* datagrams of one system call */
	UDP_BATCHES_A_TURN = 4, /* then the next socket's turn */
	UDP_PAYLOAD_MAX = 65535,
	UDP_HEAD_ROOM = 32, /* for the header of an address, which is 22 bytes at most */
};

struct udp_half {
	struct udp_half *other;
	/* Pass a message on.  The association may be gone afterwards. */
	void (*send)(struct udp_half *half, const uint8_t *message, size_t len);
	/* End this half alone. */
	void (*close)(struct udp_half *half);
};

void udp_join(struct udp_half *a, struct udp_half *b);
/* End both halves. */
void udp_close(struct udp_half *half);

/* Where datagrams arrive; one for the whole engine, made when it is first needed. */
struct udp_slot {
	uint8_t head[UDP_HEAD_ROOM];
	uint8_t data[UDP_PAYLOAD_MAX + 1];
};

struct udp_batch {
	struct udp_slot slots[UDP_BATCH];
	union address from[UDP_BATCH];
	size_t len[UDP_BATCH];
	uint8_t whole[UDP_PAYLOAD_MAX + 1]; /* a message that came in pieces, put together */
};

/* NULL: no memory. */
struct udp_batch *udp_batch(struct engine *engine);
/* A non-blocking socket, bound if `bound` is not NULL, which then gets the port; -errno. */
int udp_socket(int family, union address *bound);
/* Receive what is there; `*readable` is cleared once the socket is dry.  Returns how many. */
int udp_receive(struct udp_batch *batch, int fd, bool *readable);
/* Send a payload, to the peer of a connected socket if `to` is NULL.  0 or -errno. */
int udp_send(int fd, const union address *to, const uint8_t *data, size_t len);
void udp_count(struct engine *engine, bool passed);

#endif
