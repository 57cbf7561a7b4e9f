/* A listening socket: accepts what comes, and comes back after descriptors had run out.
 *
 * Called by: server.c and listener.c, which begin with one or hold one; loop.c (retry).
 * Owns: the listening socket, until acceptor_close().
 * Never: knows what a connection is for. */
#ifndef TELEPRESENCE_ACCEPTOR_H
#define TELEPRESENCE_ACCEPTOR_H

#include "loop.h"

struct acceptor {
	struct poll_item item;
	struct task task;
	struct list starved;
	struct engine *engine;
	/* Takes `fd`, a prepared socket. */
	void (*accepted)(struct acceptor *acceptor, int fd);
};

/* Takes `listener`; 0, or -errno and it is still the caller's. */
int acceptor_open(struct acceptor *acceptor, struct engine *engine, int listener,
		  void (*accepted)(struct acceptor *acceptor, int fd));
void acceptor_close(struct acceptor *acceptor);
/* Try again to accept after descriptors had run out. */
void acceptor_retry(struct acceptor *acceptor);

#endif
