/* The peer's name, tied to the socket itself: whoever gets the descriptor can read it there.
 *
 * Called by: io.c (a descriptor is passed to another process), exec.c (one is inherited), hooks.c
 * (getpeername of a socket that was connected elsewhere).
 * Owns: nothing.  Never: replaces a filter that the program has set.
 *
 * What the shim knows about a socket is this process's memory.  A socket filter (SO_ATTACH_FILTER)
 * belongs to the socket, in every process, and can be read back (SO_GET_FILTER): one that lets
 * everything through holds the address in instructions without effect.  Source: socket(7). */
#ifndef TELEPRESENCE_PRELOAD_LABEL_H
#define TELEPRESENCE_PRELOAD_LABEL_H

#include <stdbool.h>
#include <sys/socket.h>

#include "flows.h"

/* What is not joined to a target gets none. */
void label(int fd);
/* Descriptors of a message (SCM_RIGHTS). */
void label_passed(const struct msghdr *message);
/* All that this process has joined: an exec is near, and which it leaves open is not known. */
void label_all(void);
/* A TCP socket whose peer is the server.  True: *flow is what was known where it was connected. */
bool label_read(int fd, struct flow *flow);

#endif
