#include "platform.h"
#include "poller.h"

#if PLATFORM_LINUX

#include <errno.h>
#include <sys/epoll.h>

enum { BATCH = 128 };

int poller_open(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	return fd == -1 ? -errno : fd;
}

static int control(int poller, int op, struct poll_item *item)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				 .data.ptr = item};

	return epoll_ctl(poller, op, item->fd, &ev) == -1 ? -errno : 0;
}

int poller_add(int poller, struct poll_item *item)
{
	return control(poller, EPOLL_CTL_ADD, item);
}

int poller_replace(int poller, struct poll_item *item)
{
	return control(poller, EPOLL_CTL_MOD, item);
}

int poller_wait(int poller, struct poll_ready *ready, int max, int timeout_ms)
{
	struct epoll_event evs[BATCH];
	int n = epoll_wait(poller, evs, max < BATCH ? max : BATCH, timeout_ms);

	if (n == -1)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		ready[i].item = evs[i].data.ptr;
		ready[i].events = (evs[i].events & EPOLLIN ? (unsigned)POLL_READ : 0u) |
				  (evs[i].events & EPOLLOUT ? (unsigned)POLL_WRITE : 0u);
		if ((evs[i].events & EPOLLRDHUP) != 0)
			ready[i].events |= POLL_HANGUP | POLL_READ;
		if ((evs[i].events & (EPOLLHUP | EPOLLERR)) != 0)
			ready[i].events |= POLL_BROKEN | POLL_HANGUP | POLL_READ | POLL_WRITE;
	}
	return n;
}

#endif
