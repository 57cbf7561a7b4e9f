/* What a SOCKS5 request asks for, done from this side: connect, resolve, reverse resolve.
 *
 * Called by: link.c (streams of the peer's), server.c (a server without a tunnel).
 * Owns: the lookup and the half-open socket, until done() or request_cancel().
 * Never: speaks SOCKS; the caller turns the result into a reply. */
#ifndef TELEPRESENCE_REQUEST_H
#define TELEPRESENCE_REQUEST_H

#include "loop.h"
#include "resolver.h"
#include "socks5.h"

struct request_job {
	/* The caller sets these three. */
	struct engine *engine;
	struct socks5_request request;
	/* Called once, possibly inside request_start().  code: enum socks5_reply.  addr: the bound
	 * address or the answer of a resolve, NULL without one.  fd: the connected socket, which
	 * the callee owns and which is still registered for job->item; -1 otherwise. */
	void (*done)(struct request_job *job, uint8_t code, const struct socks5_addr *addr, int fd);

	struct lookup *lookup;
	struct poll_item item;
	struct timer timer;
	union address addresses[ADDRESSES_MAX];
	int n_addresses, next_address, error;
};

void request_start(struct request_job *job);
/* Connect to one of the job's addresses at its request's port; the caller has filled in both. */
void request_dial(struct request_job *job);
/* In done(), for the caller to reply with too: the further addresses of a RESOLVE, one by one. */
bool request_next(struct request_job *job, struct socks5_addr *out);
/* No done() afterwards.  Harmless when it is over or was never started. */
void request_cancel(struct request_job *job);

#endif
