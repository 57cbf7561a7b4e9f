/* Messages out of a stream of bytes: two bytes of length, in network order, before each.
 *
 * Called by: udp_stream.c.
 * Owns: the beginning of a message whose end has not come yet, in blocks.
 * Never: touches a socket; makes a message longer than two bytes can say. */
#ifndef TELEPRESENCE_CUTTER_H
#define TELEPRESENCE_CUTTER_H

#include <stdint.h>

#include "block.h"

enum { CUTTER_LENGTH = 2, CUTTER_MESSAGE_MAX = 65535 };

struct cutter {
	struct chain held; /* with its length in front */
};

struct cut {
	const uint8_t *message; /* NULL: feed more */
	size_t len;
};

/* Read from the front of `data`: returns bytes eaten and fills at most one cut; -ENOMEM.  A message
 * that lies in `data` is left there, one that came in pieces is put together in `whole`,
 * CUTTER_MESSAGE_MAX bytes.  Without a message all bytes were eaten. */
ssize_t cutter_take(struct cutter *cutter, struct pool *pool, const uint8_t *data, size_t len,
		    uint8_t *whole, struct cut *cut);
void cutter_clear(struct cutter *cutter, struct pool *pool);
/* The two bytes before a message of `len` bytes. */
void cutter_length(uint8_t head[static CUTTER_LENGTH], size_t len);

#endif
