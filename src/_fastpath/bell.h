/* A descriptor that is readable from the first ring until it is stilled.
 *
 * Called by: loop.c, for threads that wake the loop and for events that wait for Python.
 * Owns: its descriptors, until bell_close().  Never: blocks; counts rings.
 * One file per kernel interface implements it: bell_eventfd.c, bell_pair.c (socketpair(2)). */
#ifndef TELEPRESENCE_BELL_H
#define TELEPRESENCE_BELL_H

struct bell {
	int fd;	  /* readable while rung; -1: not open */
	int rope; /* the other end; with eventfd(2) the same */
};

/* 0, or -errno and nothing is open. */
int bell_open(struct bell *bell);
void bell_ring(const struct bell *bell);
void bell_still(const struct bell *bell);
void bell_close(struct bell *bell);

#endif
