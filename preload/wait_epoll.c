#include "waits.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "clock.h"
#include "dial.h"
#include "epoll_list.h"
#include "flows.h"
#include "real.h"
#include "watches.h"

enum { TURN = 64 };

static struct epoll_event asked_of(const struct watch *watch)
{
	return (struct epoll_event){.events = watch->asked, .data.u64 = watch->data};
}

static void give_back(const struct watch *watch)
{
	struct epoll_event asked = asked_of(watch);

	(void)real(epoll_ctl)(watch->set, EPOLL_CTL_MOD, watch->fd, &asked);
}

void waits_settled(int fd)
{
	watches_release(fd, give_back);
}

/* Registers the fd for its answer alone and remembers what was asked.  1: not possible now. */
static int watch_pending(int epfd, int op, int fd, const struct epoll_event *asked)
{
	struct epoll_event hidden = {.events = EPOLLIN | EPOLLRDHUP, .data = asked->data};
	bool known = watches_find(epfd, fd) != NULL;
	struct watch *watch = watches_make(epfd, fd);

	if (watch == NULL)
		return 1;
	if (real(epoll_ctl)(epfd, op, fd, &hidden) == -1) {
		if (!known)
			watches_forget(watch);
		return -1;
	}
	watch->asked = asked->events;
	watch->data = asked->data.u64;
	return 0;
}

int wait_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	bool pending = op != EPOLL_CTL_DEL && event != NULL && flow_pending(fd) &&
		       (event->events & (EPOLLIN | EPOLLOUT)) != 0 && flows_ours();
	sigset_t before;
	int rc = 1, error;

	if (!pending && atomic_load(&watches_held) == 0)
		return real(epoll_ctl)(epfd, op, fd, event);
	watches_enter(&before);
	if (pending) {
		rc = watch_pending(epfd, op, fd, event);
	} else {
		struct watch *watch = watches_find(epfd, fd);

		if (watch != NULL && flows_ours())
			watches_forget(watch);
	}
	error = errno;
	watches_leave(&before);
	errno = error;
	if (rc == 1)
		return real(epoll_ctl)(epfd, op, fd, event);
	/* Settled by another thread before the watch was there to be told. */
	if (rc == 0 && flow_state(fd) != FLOW_PENDING)
		waits_settled(fd);
	return rc;
}

/* A member of the set: if it is pending and was put there by another way than epoll_ctl(2), or
 * before its connect, take it over as if it were asked for now. */
static void adopt(void *state, int fd, struct epoll_event asked)
{
	const int *epfd = state;
	sigset_t before;

	if (!flow_pending(fd))
		return;
	/* EPOLLONESHOT: the event that has just come is switched off; it was a writable one. */
	asked.events |= EPOLLOUT;
	watches_enter(&before);
	if (watches_find(*epfd, fd) == NULL)
		(void)watch_pending(*epfd, EPOLL_CTL_MOD, fd, &asked);
	watches_leave(&before);
}

/* Writable is what a pending socket always is: has one come that nobody disguised? */
static void adopt_strangers(int epfd, const struct epoll_event *events, int n)
{
	int error = errno;

	/* Are there any?  The list costs as much as the set is large. */
	if (atomic_load(&flows_unsettled) <= atomic_load(&watches_held) || !flows_ours())
		return;
	for (int i = 0; i < n; i++)
		if ((events[i].events & EPOLLOUT) != 0) {
			epoll_list(epfd, adopt, &epfd);
			break;
		}
	errno = error;
}

/* Looks at the pending sockets of this set that have an event, and takes those events out: the
 * program's own come with the next call.  Returns how many events remain. */
static int unmask(int epfd, struct epoll_event *events, int n)
{
	struct watch some[TURN];
	const struct watch *watch;
	sigset_t before;
	int m = 0, at = 0;

	if (atomic_load(&watches_held) == 0)
		return n;
	watches_enter(&before);
	while (m < TURN && (watch = watches_in(epfd, &at)) != NULL)
		for (int j = 0; j < n; j++)
			if (watch->data == events[j].data.u64) {
				some[m++] = *watch;
				break;
			}
	watches_leave(&before);
	for (int i = 0; i < m; i++) {
		int kept = 0;

		if (dial_look(some[i].fd) != -EALREADY)
			waits_settled(some[i].fd);
		for (int j = 0; j < n; j++)
			if (events[j].data.u64 != some[i].data)
				events[kept++] = events[j];
		n = kept;
	}
	return n;
}

int wait_epoll(int epfd, struct epoll_event *events, int room, int timeout_ms, const sigset_t *mask)
{
	struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L}, left;
	struct deadline deadline = deadline_after(timeout_ms < 0 ? NULL : &timeout);

	while (true) {
		int n = real(epoll_pwait)(epfd, events, room, timeout_ms, mask);
		int kept;

		adopt_strangers(epfd, events, n);
		kept = n > 0 ? unmask(epfd, events, n) : n;

		if (n <= 0 || kept > 0)
			return kept;
		if (!deadline.never) {
			(void)deadline_left(deadline, &left);
			timeout_ms = (int)(left.tv_sec * 1000 + (left.tv_nsec + 999999) / 1000000);
		}
	}
}
