/* The peer's name, where every process of the session finds it by the socket.
 *
 * Called by: io.c (a descriptor is passed to another process), exec.c (one is inherited), hooks.c
 * (getpeername of a socket that was connected elsewhere).
 * Owns: the map of the labels' file.  Never: makes that file, or lets it grow.
 *
 * What the shim knows about a socket is this process's memory.  The file beside the settings, made by
 * whoever wrote those, holds what others need: places of one size, each the socket's cookie (SO_COOKIE of
 * socket(7), the same in every process, never used twice) and the address.  A cookie has one place, the newest
 * wins it: cookies are nearly consecutive, so it is the oldest name that is forgotten. */
#ifndef TELEPRESENCE_PRELOAD_LABEL_H
#define TELEPRESENCE_PRELOAD_LABEL_H

#include <stdbool.h>
#include <sys/socket.h>

#include "flows.h"

/* At load; `settings`: their path, which the file's begins with.  Without the file there are no labels. */
void label_prepare(const char *settings);
/* What is not joined to a target gets none. */
void label(int fd);
/* Descriptors of a message (SCM_RIGHTS). */
void label_passed(const struct msghdr *message);
/* All that this process has joined: an exec is near, and which it leaves open is not known. */
void label_all(void);
/* A TCP socket whose peer is the server.  True: *flow is what was known where it was connected. */
bool label_read(int fd, struct flow *flow);

#endif
