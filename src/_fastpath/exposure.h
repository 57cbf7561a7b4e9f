/* The laptop's side of an exposed port: the stream that keeps the pod listening, and its dials.
 *
 * Called by: engine.pyx (open, close), opening.c (which port was asked for), link.c (refusals).
 * Owns: that stream.
 * Never: lets the pod name a port: a connection of the pod goes to the laptop's port of an exposure,
 * on the loopback interface, or nowhere. */
#ifndef TELEPRESENCE_EXPOSURE_H
#define TELEPRESENCE_EXPOSURE_H

#include "end.h"
#include "request.h"

struct exposure {
	struct end end; /* first */
	struct list exposures; /* of the tunnel */
	uint64_t number;
	uint16_t pod_port, laptop_port;
	bool listening;
	size_t len; /* of the reply */
	uint8_t head[SOCKS5_REPLY_MAX];
};

/* Its number, or -errno.  EVENT_LISTENING follows, with the bound port or the reason. */
int64_t exposure_open(struct tunnel *tunnel, uint16_t pod_port, uint16_t laptop_port);
/* The pod stops listening; connections live on.  Accepts that it is gone. */
void exposure_close(struct tunnel *tunnel, uint64_t number);

/* The exposure of a port of the pod, or NULL. */
struct exposure *exposure_of(struct tunnel *tunnel, uint16_t pod_port);
/* Where its connections go, in this order. */
void exposure_addresses(const struct exposure *exposure, struct request_job *job);
/* Nothing on the laptop took a connection: one event until it has been taken. */
void exposure_refused(struct tunnel *tunnel, uint16_t pod_port, int error);

#endif
