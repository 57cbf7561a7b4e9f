/* The network's side of a UDP association: one socket a family, and names that become addresses.
 *
 * Called by: udp_stream.c (agent), server.c (a server without a tunnel).
 * Owns: its sockets, each from the first datagram that needs it; names and what waits for them.
 * Never: blocks for a name; changes the order of datagrams to one destination. */
#ifndef TELEPRESENCE_UDP_OUTLET_H
#define TELEPRESENCE_UDP_OUTLET_H

#include "udp.h"

/* NULL: no memory.  The caller joins it to another half. */
struct udp_half *udp_outlet_open(struct engine *engine);

#endif
