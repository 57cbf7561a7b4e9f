/* Connections that the kernel makes once the pod has made them.
 *
 * Called by: engine.pyx (open, close), redirect.c (claim), tunnel.c (clean-up).
 * Owns: the sockets that it is given, and streams whose connection has not been accepted yet.
 * Never: needs a privilege; sees a packet but the first of a connection.
 *
 * A firewall rule gives us the SYN (NFLOG) and drops it.  When the pod has connected, the same SYN goes out
 * again, with a mark that the rule lets through, and is redirected and accepted as ever; when it cannot,
 * the program hears why: a reset or an ICMP error, as from the host itself.  Meanwhile the
 * program's kernel waits, and repeats its SYN after a second.
 *
 * A destination that has accepted within HOLD_TRUST_US is taken to do so again: its SYN goes out at once, and
 * a refusal is a reset of the connection. */
#ifndef TELEPRESENCE_HOLD_H
#define TELEPRESENCE_HOLD_H

#include "address.h"
#include "loop.h"

struct tunnel;

enum {
	HOLD_BUCKETS = 256,
	HOLD_TRUSTED = 1024,
	HOLD_TRUST_US = 50 * 1000, /* what a failed connect may take longer than a round trip */
};

struct hold_trust {
	union address to;
	uint64_t until_us;
};

struct hold {
	struct grave grave; /* first */
	struct list node;
	struct engine *engine;
	struct tunnel *tunnel;
	struct task task;
	struct poll_item item; /* packets, from nfnetlink_log */
	uint64_t number;
	bool readable;
	int raw4, raw6;			 /* -1: none of that family */
	struct list held[HOLD_BUCKETS];	 /* by sequence number */
	struct list claimed;		 /* whose answer is still to come */
	struct hold_trust trusted[HOLD_TRUSTED];
};

/* `log`: a bound nfnetlink_log socket; raw4, raw6: raw(7) with IPPROTO_RAW and the mark.  Takes all of
 * them.  The tunnel's transparent servers must be open already.  NULL with errno: still the caller's; ENOTSUP: not Linux. */
struct hold *hold_open(struct engine *engine, int log, int raw4, int raw6, struct tunnel *tunnel);
void hold_close(struct hold *hold);
/* Is this accepted connection one of those?  True: it takes `fd`. */
bool hold_claim(struct tunnel *tunnel, int fd, const union address *meant);

#endif
