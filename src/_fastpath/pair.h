/* Two sockets joined to each other.
 *
 * Called by: server.c (a connect without a tunnel), engine.pyx (Relay).
 * Owns: both sockets, and a pump a direction.  Never: looks at the bytes.
 *
 * Either side's end of file is passed on alone; the other direction lives on. */
#ifndef TELEPRESENCE_PAIR_H
#define TELEPRESENCE_PAIR_H

#include "loop.h"
#include "pump.h"

struct half {
	struct pump pump;
	bool ended; /* end of file read */
	bool done;  /* and passed on */
};

struct side {
	struct poll_item item;
	struct pair *pair;
	bool readable, writable;
	struct half out; /* from this side to the other */
};

struct pair {
	struct grave grave; /* first */
	struct list node;
	struct task task;
	struct engine *engine;
	uint64_t number;
	struct side sides[2];
};

/* Takes both sockets, each registered for another item or not at all.
 * NULL with errno: they are still the caller's. */
struct pair *pair_open(struct engine *engine, int a, bool a_registered, int b, bool b_registered);
void pair_close(struct pair *pair);

#endif
