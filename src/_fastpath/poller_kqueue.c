#include "platform.h"
#include "poller.h"

#if !PLATFORM_LINUX

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/event.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

enum { BATCH = 128 };

int poller_open(void)
{
	int fd = kqueue();

	if (fd == -1)
		return -errno;
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

/* EV_CLEAR is edge-triggered.  Adding a filter that is there already changes its udata and looks
 * at the descriptor again (kqueue(2)), so this is both of poller.h's registrations. */
int poller_add(int poller, struct poll_item *item)
{
	struct kevent both[2];

	EV_SET(&both[0], item->fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, item);
	EV_SET(&both[1], item->fd, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, item);
	return kevent(poller, both, 2, NULL, 0, NULL) == -1 ? -errno : 0;
}

int poller_replace(int poller, struct poll_item *item)
{
	return poller_add(poller, item);
}

/* EV_EOF: of a read filter, the peer sends no more; of a write filter, also after our own
 * shutdown(2).  fflags is then the socket's error, and an error ends both directions. */
static unsigned events_of(const struct kevent *event)
{
	unsigned found = event->filter == EVFILT_READ ? POLL_READ : POLL_WRITE;

	if ((event->flags & EV_EOF) == 0)
		return found;
	if (event->filter == EVFILT_READ)
		found |= POLL_HANGUP;
	if (event->fflags != 0)
		found |= POLL_BROKEN | POLL_HANGUP | POLL_READ | POLL_WRITE;
	return found;
}

int poller_wait(int poller, struct poll_ready *ready, int max, int timeout_ms)
{
	struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
	struct kevent events[BATCH];
	int n = kevent(poller, NULL, 0, events, max < BATCH ? max : BATCH,
		       timeout_ms < 0 ? NULL : &timeout);

	if (n == -1)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++)
		ready[i] = (struct poll_ready){events[i].udata, events_of(&events[i])};
	return n;
}

#endif
