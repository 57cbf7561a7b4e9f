#include "waits.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "clock.h"
#include "dial.h"
#include "epoll_list.h"
#include "flows.h"
#include "real.h"

/* A pending socket in an epoll set.  More of them at a time than this wait the slow way. */
enum { WATCHES = 512, TURN = 64 };

struct watch {
	int epfd, fd; /* fd -1: free */
	struct epoll_event asked;
};

static struct watch watches[WATCHES];
static _Atomic int watched; /* how many are in use */
static int top;		    /* all from here on are free */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Signals are blocked while the lock is held: a handler that reads or writes may come here too. */
static void enter(sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, before);
	pthread_mutex_lock(&lock);
}

static void leave(const sigset_t *before)
{
	pthread_mutex_unlock(&lock);
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
	pthread_mutex_unlock(&lock);
	flows_adopt();
}

void waits_prepare(void)
{
	(void)pthread_atfork(before_fork, after_fork, in_child);
}

static struct watch *find(int epfd, int fd)
{
	for (int i = 0; i < top; i++)
		if (watches[i].fd == fd && watches[i].epfd == epfd)
			return &watches[i];
	return NULL;
}

static struct watch *find_free(void)
{
	for (int i = 0; i < top; i++)
		if (watches[i].fd == -1)
			return &watches[i];
	if (top == WATCHES)
		return NULL;
	watches[top].fd = -1;
	return &watches[top++];
}

static void forget(struct watch *watch)
{
	watch->fd = -1;
	atomic_fetch_sub(&watched, 1);
	while (top > 0 && watches[top - 1].fd == -1)
		top--;
}

void waits_settled(int fd)
{
	sigset_t before;

	if (atomic_load(&watched) == 0 || !flows_ours())
		return;
	enter(&before);
	for (int i = top - 1; i >= 0; i--) {
		if (i >= top || watches[i].fd != fd)
			continue;
		(void)real(epoll_ctl)(watches[i].epfd, EPOLL_CTL_MOD, fd, &watches[i].asked);
		forget(&watches[i]);
	}
	leave(&before);
}

void waits_closed(int fd)
{
	sigset_t before;

	if (atomic_load(&watched) == 0 || !flows_ours())
		return;
	enter(&before);
	for (int i = top - 1; i >= 0; i--)
		if (i < top && watches[i].fd == fd)
			forget(&watches[i]);
	leave(&before);
}

/* Registers the fd for its answer alone and remembers what was asked.  1: not possible now. */
static int watch_pending(int epfd, int op, int fd, const struct epoll_event *asked)
{
	struct epoll_event hidden = {.events = EPOLLIN | EPOLLRDHUP, .data = asked->data};
	struct watch *watch = find(epfd, fd);
	int rc;

	if (watch == NULL)
		watch = find_free();
	if (watch == NULL)
		return 1;
	rc = real(epoll_ctl)(epfd, op, fd, &hidden);
	if (rc == -1)
		return -1;
	if (watch->fd == -1)
		atomic_fetch_add(&watched, 1);
	*watch = (struct watch){epfd, fd, *asked};
	return 0;
}

int wait_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	bool pending = op != EPOLL_CTL_DEL && event != NULL && flow_pending(fd) &&
		       (event->events & (EPOLLIN | EPOLLOUT)) != 0 && flows_ours();
	sigset_t before;
	int rc = 1, error;

	if (!pending && atomic_load(&watched) == 0)
		return real(epoll_ctl)(epfd, op, fd, event);
	enter(&before);
	if (pending) {
		rc = watch_pending(epfd, op, fd, event);
	} else {
		struct watch *watch = find(epfd, fd);
		if (watch != NULL && flows_ours())
			forget(watch);
	}
	error = errno;
	leave(&before);
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
	enter(&before);
	if (find(*epfd, fd) == NULL)
		(void)watch_pending(*epfd, EPOLL_CTL_MOD, fd, &asked);
	leave(&before);
}

/* Writable is what a pending socket always is: has one come that nobody disguised? */
static void adopt_strangers(int epfd, const struct epoll_event *events, int n)
{
	int error = errno;

	/* Are there any?  The list costs as much as the set is large. */
	if (atomic_load(&flows_unsettled) <= atomic_load(&watched) || !flows_ours())
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
	sigset_t before;
	int m = 0;

	if (atomic_load(&watched) == 0)
		return n;
	enter(&before);
	for (int i = 0; i < top && m < TURN; i++)
		if (watches[i].fd != -1 && watches[i].epfd == epfd)
			for (int j = 0; j < n; j++)
				if (watches[i].asked.data.u64 == events[j].data.u64) {
					some[m++] = watches[i];
					break;
				}
	leave(&before);
	for (int i = 0; i < m; i++) {
		int kept = 0;

		if (dial_look(some[i].fd) != -EALREADY)
			waits_settled(some[i].fd);
		for (int j = 0; j < n; j++)
			if (events[j].data.u64 != some[i].asked.data.u64)
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
