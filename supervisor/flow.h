/* A program's UDP socket whose datagrams go to the pod.
 *
 * Called by: calls.c (connect, getpeername), messages.c (what is sent and received).
 * Owns: a relay on loopback for each target of the socket: what the program sends to it goes to the target,
 * and what comes from the target comes from it.  An association with the SOCKS server.
 * Never: keeps a descriptor of the program's, whose end it finds out by the kernel's list of sockets. */
#ifndef TELEPRESENCE_SUPERVISOR_FLOW_H
#define TELEPRESENCE_SUPERVISOR_FLOW_H

#include <sys/types.h>

#include "peers.h"
#include "supervisor.h"

struct flow;

void flow_prepare(struct supervisor *sup);
/* connect(2) of the program's socket: 0 or an errno. */
int flow_connect(struct supervisor *sup, int fd, const union target *target);
/* A datagram to a target, whatever the socket is connected to: 0 or an errno. */
int flow_send(struct supervisor *sup, int fd, const union target *target, const uint8_t *payload,
	      size_t len);
/* What is known of this socket, or NULL. */
struct flow *flow_find(struct supervisor *sup, int fd);
/* The target behind a relay's address; NULL: it is no relay of this flow. */
const union target *flow_target(const struct flow *flow, const union target *relay);
void flow_drop_all(struct supervisor *sup);

#endif
