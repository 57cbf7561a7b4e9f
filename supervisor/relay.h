/* Two connected sockets joined to each other.
 *
 * Called by: detour.c.
 * Owns: both, until both directions have ended.
 * Never: holds more than a buffer of each direction; looks at the bytes.
 *
 * Either side's end of file is passed on alone; a reset of one is a reset of the other. */
#ifndef TELEPRESENCE_SUPERVISOR_RELAY_H
#define TELEPRESENCE_SUPERVISOR_RELAY_H

#include "loop.h"

/* Takes both, which nobody watches: 0, or -errno when they are still the caller's. */
int relay_open(struct loop *loop, struct list *relays, int a, int b);
void relay_drop_all(struct list *relays);

#endif
