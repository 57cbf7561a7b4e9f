/* Linux's epoll(7).  One line each; what they do is in wait_epoll.c.
 *
 * Called by: the program and its libraries, through the dynamic linker (exports.map).
 * Owns: nothing.  Never: decides. */
#include <limits.h>

#include "export.h"
#include "flows.h"
#include "real.h"
#include "waits.h"

EXPORT(int, epoll_ctl)(int epfd, int op, int fd, struct epoll_event *event)
{
	return wait_epoll_ctl(epfd, op, fd, event);
}

EXPORT(int, epoll_wait)(int epfd, struct epoll_event *events, int room, int timeout)
{
	return wait_epoll(epfd, events, room, timeout, NULL);
}

EXPORT(int, epoll_pwait)(int epfd, struct epoll_event *events, int room, int timeout,
			 const sigset_t *mask)
{
	return wait_epoll(epfd, events, room, timeout, mask);
}

EXPORT(int, epoll_pwait2)(int epfd, struct epoll_event *events, int room,
			  const struct timespec *timeout, const sigset_t *mask)
{
	long long ms = -1;

	if (flows_unsettled == 0)
		return real(epoll_pwait2)(epfd, events, room, timeout, mask);
	if (timeout != NULL)
		ms = timeout->tv_sec * 1000LL + (timeout->tv_nsec + 999999) / 1000000;
	return wait_epoll(epfd, events, room, ms > INT_MAX ? INT_MAX : (int)ms, mask);
}
