/* A UDP association with the SOCKS server (RFC 1928 section 7), as a client has it.
 *
 * Called by: flow.c (one for each socket of the program's), names.c (one for all questions).
 * Owns: its TCP connection and its UDP socket.
 * Never: waits.  What comes while it is being made waits a little; what does not fit is dropped. */
#ifndef TELEPRESENCE_SUPERVISOR_ASSOCIATION_H
#define TELEPRESENCE_SUPERVISOR_ASSOCIATION_H

#include "supervisor.h"
#include "talk.h"

enum { DATAGRAM_MAX = 65535, EARLY_MAX = 16 };

struct association;

struct early {
	uint8_t *message;
	size_t len;
};

struct association {
	struct supervisor *sup;
	struct watch control, out; /* fd -1: not open */
	bool made;
	struct talk talk;
	struct early early[EARLY_MAX];
	size_t n_early;
	/* A datagram, and from where it says it is. */
	void (*received)(struct association *association, const struct socks5_addr *from,
			 const uint8_t *payload, size_t len);
};

void association_init(struct association *association, struct supervisor *sup,
		      void (*received)(struct association *, const struct socks5_addr *,
				       const uint8_t *, size_t));
/* Opens it when it is not, so a tunnel that comes back is used again. */
void association_send(struct association *association, const struct socks5_addr *to,
		      const uint8_t *payload, size_t len);
void association_close(struct association *association);

#endif
