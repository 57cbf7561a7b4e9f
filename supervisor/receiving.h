/* recvfrom(2), recvmsg(2) and recvmmsg(2) that ask where a datagram came from: what comes from a relay is
 * to come from its target.
 *
 * Called by: calls.c.
 * Owns: the calls that wait for a datagram, each with a descriptor of the program's socket.
 * Never: takes a datagram for a call that nobody waits for any more. */
#ifndef TELEPRESENCE_SUPERVISOR_RECEIVING_H
#define TELEPRESENCE_SUPERVISOR_RECEIVING_H

#include "notify.h"
#include "supervisor.h"

void receiving_take(struct supervisor *sup, const struct call *call);
void receiving_drop_all(struct supervisor *sup);

#endif
