/* The client's side of a UDP association: its TCP connection and the UDP socket made for it.
 *
 * Called by: server.c (open), loop.c (clean-up).
 * Owns: both sockets; the association ends with the TCP connection (RFC 1928 section 7).
 * Never: takes a datagram from another host than the client's, or from a second port.
 *
 * With one target for all datagrams (SOCKS5_UDP_CONNECT) the client's have no header: a program may
 * send and receive them that knows of none. */
#ifndef TELEPRESENCE_UDP_INLET_H
#define TELEPRESENCE_UDP_INLET_H

#include "udp.h"

struct udp_inlet {
	struct grave grave; /* first */
	struct list node;
	struct udp_half half;
	struct engine *engine;
	struct task task;
	struct poll_item control, item;
	bool readable, known;  /* known: the client's port */
	union address client;
	union address bound; /* where the client may send to */
	size_t head_len; /* 0: every datagram has a header of its own */
	uint8_t head[UDP_HEAD_ROOM];
};

/* For an UDP ASSOCIATE or a SOCKS5_UDP_CONNECT.  Takes `control`, which is registered for another
 * item already.  NULL with errno: still the caller's.  The caller joins it to another half. */
struct udp_inlet *udp_inlet_open(struct engine *engine, int control,
				 const struct socks5_request *request);

#endif
