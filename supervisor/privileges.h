/* Programs whom the filter takes something: rights beyond their user's, or, to 32-bit ones, all
 * connections.  The log says so, once each.
 *
 * Called by: calls.c.
 * Owns: nothing.  Never: keeps a program from being started; decides what the kernel does. */
#ifndef TELEPRESENCE_SUPERVISOR_PRIVILEGES_H
#define TELEPRESENCE_SUPERVISOR_PRIVILEGES_H

#include "notify.h"
#include "supervisor.h"

/* execve(2) and execveat(2), which the kernel then carries out. */
void privileges_take(struct supervisor *sup, const struct call *call);

#endif
