/* What the kernel says of a descriptor.
 *
 * Called by: flows.c, hooks.c, datagram.c.
 * Owns: nothing.  Never: changes the descriptor; leaves errno as it was found.
 * One file per system implements it: facts_linux.c, facts_macos.c. */
#ifndef TELEPRESENCE_PRELOAD_FACTS_H
#define TELEPRESENCE_PRELOAD_FACTS_H

#include <stdint.h>

/* AF_*; AF_UNSPEC: no socket. */
int facts_family(int fd);
/* IPPROTO_*; 0: no socket. */
int facts_protocol(int fd);
/* Different for every socket there is; 0: no socket. */
uint64_t facts_identity(int fd);

#endif
