/* The pod's name server, for programs that ask it themselves.
 *
 * Called by: flow.c.
 * Owns: every question until it is answered, and one association for all of them.
 * Never: asks a name server of the laptop's.
 *
 * A program here works with the laptop's search list, the pod's name server does not know any: what it does
 * not find is asked of the pod's resolver, which has search list and hosts file.  So "redis" is found. */
#ifndef TELEPRESENCE_SUPERVISOR_NAMES_H
#define TELEPRESENCE_SUPERVISOR_NAMES_H

#include "supervisor.h"

struct asker {
	struct list questions;
	void (*answered)(struct asker *asker, const uint8_t *message, size_t len);
};

/* NULL: no memory. */
struct names *names_new(struct supervisor *sup);
void names_free(struct names *names);
/* A DNS message; the answer comes later or never. */
void names_ask(struct names *names, struct asker *asker, const uint8_t *message, size_t len);
/* It has gone. */
void names_forget(struct asker *asker);

#endif
