/* Where redirected connections were meant to go, asked of a process that may look it up.
 *
 * Called by: server.c (open, close), redirect.c (ask).
 * Owns: the socket to that process, and each connection until its answer has come.
 * Never: waits for an answer, or looks anything up.
 *
 * netfilter tells it to whoever has the connection.  pf(4) tells root alone: xnu's pfioctl() wants
 * uid 0 from who asks, whoever has opened /dev/pf (bsd/net/pf_ioctl.c).  So it goes over a stream
 * socket, answers in the order of their questions, numbers in network byte order:
 *
 *     question: 4 or 6 (1), nothing (1), ports of the program and of ours (2, 2), their hosts (16, 16)
 *     answer:   4 or 6, or 0: nobody knows (1), nothing (1), port (2), host (16) */
#ifndef TELEPRESENCE_MEANT_H
#define TELEPRESENCE_MEANT_H

#include "address.h"
#include "loop.h"

struct server;

enum { MEANT_QUESTION = 38, MEANT_ANSWER = 20, MEANT_WAITING = 1024 };

struct meant {
	struct grave grave; /* first */
	struct poll_item item;
	struct server *server;
	/* Takes `fd`.  NULL: nobody knows. */
	void (*known)(struct server *server, int fd, const union address *to);
	unsigned first, count; /* of the ring of connections */
	int waiting[MEANT_WAITING];
	size_t in_len, out_len;
	uint8_t in[MEANT_ANSWER * 64], out[MEANT_QUESTION * MEANT_WAITING];
};

/* Takes `fd`.  NULL with errno: still the caller's. */
struct meant *meant_open(struct engine *engine, int fd, struct server *server,
			 void (*known)(struct server *server, int fd, const union address *to));
/* Connections without an answer are reset. */
void meant_close(struct meant *meant, struct engine *engine);
/* Takes `fd`, an accepted connection; or -errno and it is still the caller's. */
int meant_ask(struct meant *meant, int fd);

#endif
