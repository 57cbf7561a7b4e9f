/* A connect that must not be waited for and takes its time: the program's socket is like one whose
 * peer is slow to answer, until the pod has answered; then its bytes are passed on here.
 *
 * Called by: dial.c, calls.c.
 * Owns: a descriptor of the program's socket, and the connection to the SOCKS server.
 * Never: makes the program's socket writable before the pod is connected.
 *
 * How: it sends its SYN to a door that drops it, so it stays where every connect starts, and poll(2) and
 * time-outs of the program are the kernel's.  The pod's answer makes us connect to it from that door's port,
 * which completes both at once (RFC 9293 section 3.5, simultaneous connection). */
#ifndef TELEPRESENCE_SUPERVISOR_DETOUR_H
#define TELEPRESENCE_SUPERVISOR_DETOUR_H

#include "peers.h"
#include "supervisor.h"

/* 0: on its way, and the descriptor is the detour's; else an errno. */
int detour_begin(struct supervisor *sup, int fd, uint64_t cookie, const union target *target);
/* What connect(2) says of a socket that is on its way: EINPROGRESS once, then EALREADY; 0: it is not. */
int detour_ask(struct supervisor *sup, uint64_t cookie);
/* Why the last one failed, which is told once; 0: nothing to tell. */
int detour_take_error(struct supervisor *sup, uint64_t cookie);
void detour_drop_all(struct supervisor *sup);

#endif
