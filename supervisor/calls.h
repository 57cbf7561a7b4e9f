/* What becomes of each system call that the filter holds.
 *
 * Called by: main.c.
 * Owns: nothing.  Never: waits; leaves a call unanswered that nobody else answers. */
#ifndef TELEPRESENCE_SUPERVISOR_CALLS_H
#define TELEPRESENCE_SUPERVISOR_CALLS_H

#include "notify.h"
#include "supervisor.h"

void calls_take(struct supervisor *sup, const struct call *call);

#endif
