/* What is in an epoll set, as the kernel tells it (proc(5), /proc/PID/fdinfo).
 *
 * Called by: wait_epoll.c, for sockets whose registration went past the shim.
 * Owns: the file while it reads.  Never: changes the set. */
#ifndef TELEPRESENCE_PRELOAD_EPOLL_LIST_H
#define TELEPRESENCE_PRELOAD_EPOLL_LIST_H

#include <stddef.h>
#include <sys/epoll.h>

/* Calls `found` for each member. */
void epoll_list(int epfd, void (*found)(void *state, int fd, struct epoll_event asked),
		void *state);

#endif
