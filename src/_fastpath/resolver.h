/* Names and addresses through the system's resolver, in threads beside the loop.
 *
 * Called by: request.c, udp_outlet.c (start, cancel), loop.c (life, delivery).
 * Owns: its threads and the lookups.  Never: blocks the loop.
 * In the pod getaddrinfo(3) reads the pod's own resolv.conf and hosts, so search list, ndots and
 * host aliases are those of every other container. */
#ifndef TELEPRESENCE_RESOLVER_H
#define TELEPRESENCE_RESOLVER_H

#include <netdb.h>
#include <stdbool.h>

#include "address.h"
#include "list.h"

enum { ADDRESSES_MAX = 16 };

struct engine;

struct lookup {
	struct list node;
	/* Called once in the loop, the lookup only borrowed; NULL: cancelled. */
	void (*done)(struct lookup *lookup);
	void *owner;
	bool reverse;
	char name[NI_MAXHOST]; /* asked, or found when reverse */
	union address addresses[ADDRESSES_MAX];
	int n_addresses;
	int status; /* 0 or EAI_* of getaddrinfo(3), getnameinfo(3) */
};

struct resolver;

struct resolver *resolver_open(struct engine *engine);
/* Threads that are inside a lookup end by themselves afterwards. */
void resolver_close(struct resolver *resolver);
/* A lookup of its own for done(), to be filled and started.  NULL: no memory. */
struct lookup *lookup_new(void *owner, void (*done)(struct lookup *lookup));
/* Takes the lookup; done() follows in the loop.  0, or -errno and it is gone. */
int resolver_start(struct resolver *resolver, struct lookup *lookup);
/* Hand finished lookups to their owners; called by the loop. */
void resolver_deliver(struct resolver *resolver);

#endif
