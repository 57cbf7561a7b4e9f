/* Names and addresses through the system's resolver, in threads beside the loop.
 *
 * Called by: request.c (start, cancel), loop.c (life, delivery).
 * Owns: its threads and the lookups.  Never: blocks the loop.
 * In the pod getaddrinfo(3) reads the pod's own resolv.conf and hosts, so search list, ndots and
 * host aliases are those of every other container. */
#ifndef TELEPRESENCE_RESOLVER_H
#define TELEPRESENCE_RESOLVER_H

#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>

#include "list.h"

enum { ADDRESSES_MAX = 16 };

struct engine;
struct request_job;

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct lookup {
	struct list node;
	struct request_job *job; /* NULL: cancelled */
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
/* Takes the lookup; request_resolved() follows in the loop.  0, or -errno and it is still the
 * caller's. */
int resolver_start(struct resolver *resolver, struct lookup *lookup);
/* Hand finished lookups to their jobs; called by the loop. */
void resolver_deliver(struct resolver *resolver);

#endif
