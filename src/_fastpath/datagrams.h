/* Datagrams in batches.
 *
 * Called by: udp.c.  Owns: nothing.  Never: waits. */
#ifndef TELEPRESENCE_DATAGRAMS_H
#define TELEPRESENCE_DATAGRAMS_H

#include <stddef.h>

#include "address.h"

struct datagram {
	union address *from;
	void *data;
	size_t room, len;
};

enum { DATAGRAMS_MAX = 16 }; /* of one call */

/* A new UDP socket as sockets.h has them, or -errno. */
int datagram_socket(int family);
/* Fills up to `max` (<= DATAGRAMS_MAX) datagrams and their `len`.  Returns how many, or -errno if
 * there is none; fewer than `max`: the queue was empty. */
int datagrams_receive(int fd, struct datagram *datagrams, int max);

#endif
