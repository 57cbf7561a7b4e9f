/* sendto(2), sendmsg(2) and sendmmsg(2) with an address.
 *
 * Called by: calls.c.
 * Owns: nothing.  Never: waits. */
#ifndef TELEPRESENCE_SUPERVISOR_SENDING_H
#define TELEPRESENCE_SUPERVISOR_SENDING_H

#include "notify.h"
#include "supervisor.h"

void sending_take(struct supervisor *sup, const struct call *call);

#endif
