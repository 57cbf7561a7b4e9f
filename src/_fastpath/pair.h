/* Two sockets joined to each other.
 *
 * Called by: server.c (a connect without a tunnel), engine.pyx (Relay).
 * Owns: both sockets, and a pipe a direction, borrowed from the engine while bytes are under way.
 * Never: looks at the bytes; on Linux they do not enter user space (splice(2)).
 *
 * Either side's end of file is passed on alone; the other direction lives on. */
#ifndef TELEPRESENCE_PAIR_H
#define TELEPRESENCE_PAIR_H

#include "loop.h"

struct half {
	int pipe[2];  /* -1: none needed now */
	size_t held;  /* bytes in the pipe */
	bool ended;   /* end of file read */
	bool done;    /* and passed on */
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
/* Close the pipes that the engine keeps. */
void pipes_clear(struct engine *engine);

#endif
