/* A program's TCP socket on its way to the pod.
 *
 * Called by: calls.c.
 * Owns: the descriptor that it is given, until the pod has answered.
 * Never: keeps other calls waiting; replaces the program's socket: its options, its O_NONBLOCK and its
 * places in epoll sets are afterwards as they were. */
#ifndef TELEPRESENCE_SUPERVISOR_DIAL_H
#define TELEPRESENCE_SUPERVISOR_DIAL_H

#include "notify.h"
#include "peers.h"
#include "supervisor.h"

/* Carries connect(2) out and answers it, at once or later. */
void dial_call(struct supervisor *sup, const struct call *call, int fd, const union target *target);
/* At the end: nobody waits any more. */
void dial_drop_all(struct supervisor *sup);

#endif
