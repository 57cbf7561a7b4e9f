/* One connection that carries the tunnel: how its bytes are read and written.
 *
 * Called by: tunnel.c; made by engine.pyx (sockets) and carrier_api.c (TLS to the API server).
 * Owns: the descriptor.
 * Never: knows what the bytes mean; blocks. */
#ifndef TELEPRESENCE_CARRIER_H
#define TELEPRESENCE_CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct carrier {
	int fd;
	bool pending; /* bytes that write() took are not sent yet: call it again when writable */
	bool tangled; /* reading may wait for room to write, as in TLS */
	bool drained; /* after read(): nothing more is there without another edge of readiness */
	/* More than 0: so many bytes; 0: the peer has ended; -errno, -EAGAIN among them. */
	ssize_t (*read)(struct carrier *carrier, uint8_t *to, size_t len);
	/* How many bytes it took, all of which it will send in order; -errno. */
	ssize_t (*write)(struct carrier *carrier, const struct iovec *vectors, int count);
	/* Closes the descriptor too. */
	void (*free)(struct carrier *carrier);
};

/* A connected socket as it is, which stays the caller's until free(); NULL: no memory. */
struct carrier *carrier_of_socket(int fd);

#endif
