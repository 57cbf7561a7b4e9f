/* The names that a UDP association sends to: found once, kept for some seconds.
 *
 * Called by: udp_outlet.c.
 * Owns: a few names, and the messages that wait for their addresses.
 * Never: blocks; lets a message overtake another to the same name. */
#ifndef TELEPRESENCE_UDP_NAMES_H
#define TELEPRESENCE_UDP_NAMES_H

#include "address.h"
#include "block.h"
#include "loop.h"

enum {
	NAMES_MAX = 8,
	NAME_ADDRESSES_MAX = 4,
	NAMES_WAITING_MAX = 128 * 1024, /* bytes for all names: two of the longest messages */
};

struct udp_name;

struct udp_names {
	struct engine *engine;
	struct list names; /* latest used last */
	size_t count, waiting_bytes;
	/* A message whose name has got its addresses. */
	void (*found)(struct udp_names *names, const struct udp_name *name, const uint8_t *message,
		      size_t len);
};

struct udp_name {
	struct grave grave; /* first */
	struct list node;
	struct udp_names *owner;
	struct lookup *lookup; /* NULL: none under way */
	uint64_t found_us;
	struct chain waiting; /* messages, each behind its length */
	union address addresses[NAME_ADDRESSES_MAX];
	int n_addresses;
	uint8_t text_len;
	uint8_t text[256];
};

void udp_names_open(struct udp_names *names, struct engine *engine);
void udp_names_close(struct udp_names *names);
/* Calls found() now, or later, or never: a name without address, too much that waits. */
void udp_names_send(struct udp_names *names, const struct socks5_addr *to, const uint8_t *message,
		    size_t len);

#endif
