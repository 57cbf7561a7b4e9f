/* Datagrams that a firewall rule (TPROXY) turned towards us, carried to where programs sent them.
 *
 * Called by: engine.pyx (open, close), tunnel.c and loop.c (clean-up).
 * Owns: the socket, an association of the tunnel for each program's socket, and the sockets that
 * answer with a foreign source.
 * Never: changes a rule; asks for a privilege (the socket is given with IP_TRANSPARENT set).  An engine
 * without CAP_NET_ADMIN answers through a raw socket that somebody else has made for it.
 *
 * An association ends after a minute of silence; one that only asked name servers, as soon as every
 * question has its answer: a resolver takes a new socket for each name.
 * Sources: Linux, Documentation/networking/tproxy.rst; ip(7), IP_RECVORIGDSTADDR. */
#ifndef TELEPRESENCE_UDP_REDIRECT_H
#define TELEPRESENCE_UDP_REDIRECT_H

#include "udp.h"

struct tunnel;

enum { FLOW_BUCKETS = 256 };

struct udp_redirect {
	struct grave grave; /* first */
	struct list node;
	struct engine *engine;
	struct tunnel *tunnel;
	struct task task;
	struct poll_item item;
	uint64_t number;
	int raw; /* or -1 */
	bool readable;
	struct list flows[FLOW_BUCKETS]; /* by the port of the program's socket */
};

/* Takes `fd`, a bound UDP socket, and `raw`, -1 or a raw(7) one of IPPROTO_RAW.  NULL with errno: still the caller's; ENOTSUP: not Linux. */
struct udp_redirect *udp_redirect_open(struct engine *engine, int fd, int raw, struct tunnel *tunnel);
/* Its associations end with it. */
void udp_redirect_close(struct udp_redirect *redirect);

#endif
