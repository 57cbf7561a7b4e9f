#include "waits.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/event.h>

#include "clock.h"
#include "dial.h"
#include "flows.h"
#include "real.h"
#include "watches.h"

/* What a program has said of a filter, as far as its events tell; and whether the queue is one of
 * kevent64(2): a queue is of one of the two calls for good (xnu, kevent_set_kq_mode). */
enum { KEPT = EV_CLEAR | EV_ONESHOT | EV_DISPATCH | EV_UDATA_SPECIFIC, WIDE = 1 << 16 };

/* Our own filter beside the program's, in the same queue: EV_UDATA_SPECIFIC keeps them apart.  It
 * waits for the server's answer; the address is its udata. */
static const char answer;
enum { ANSWER = EV_UDATA_SPECIFIC };

/* An event of either call. */
struct told {
	uint64_t ident, udata;
	int16_t filter;
	uint16_t flags;
	uint32_t fflags;
};

static void change(int queue, uint32_t asked, int fd, int16_t filter, unsigned flags, uint64_t udata)
{
	struct kevent64_s wide = {.ident = (uint64_t)fd,
				  .filter = filter,
				  .flags = (uint16_t)(flags | (asked & KEPT)),
				  .udata = udata};
	struct kevent plain = {.ident = (uintptr_t)fd,
			       .filter = filter,
			       .flags = wide.flags,
			       .udata = (void *)(uintptr_t)udata};

	if ((asked & WIDE) != 0)
		(void)real(kevent64)(queue, &wide, 1, NULL, 0, 0, NULL);
	else
		(void)real(kevent)(queue, &plain, 1, NULL, 0, NULL);
}

static void change_own(int queue, uint32_t asked, int fd, unsigned flags)
{
	change(queue, (asked & WIDE) | ANSWER, fd, EVFILT_READ, flags, (uintptr_t)&answer);
}

static void give_back(const struct watch *watch)
{
	change_own(watch->set, watch->asked, watch->fd, EV_DELETE);
	change(watch->set, watch->asked, watch->fd, EVFILT_WRITE, EV_ENABLE, watch->data);
}

void waits_settled(int fd)
{
	watches_release(fd, give_back);
}

/* In place of the program's filter ours waits.  False: not possible now. */
static bool hold(int queue, uint32_t asked, int fd, uint64_t udata)
{
	struct watch *watch;
	sigset_t before;

	watches_enter(&before);
	watch = watches_make(queue, fd);
	if (watch != NULL) {
		watch->asked = asked;
		watch->data = udata;
		/* EV_ADD, as one of EV_ONESHOT is gone with its event. */
		change(queue, asked, fd, EVFILT_WRITE, EV_ADD | EV_DISABLE, udata);
		change_own(queue, asked, fd, EV_ADD);
	}
	watches_leave(&before);
	if (watch == NULL)
		return false;
	/* Settled by another thread before the watch was there to be told. */
	if (flow_state(fd) != FLOW_PENDING)
		waits_settled(fd);
	return true;
}

/* Is the event one for the program?  Of a socket whose answer is still to come, or has just come,
 * it is not: what the kernel knows of is the way to the server. */
static bool is_for_program(int queue, uint32_t wide, struct told *event)
{
	const uint32_t asked = (event->flags & KEPT) | wide;
	const int fd = event->ident > INT_MAX ? -1 : (int)event->ident;
	const enum flow_state was = flow_state(fd);
	int rc;

	if ((event->filter != EVFILT_READ && event->filter != EVFILT_WRITE) ||
	    (event->flags & EV_ERROR) != 0 || !flows_ours())
		return true;
	if ((event->flags & ANSWER) != 0 && event->udata == (uintptr_t)&answer) {
		(void)dial_look(fd);
		return false;
	}
	if (was != FLOW_PENDING && was != FLOW_FAILED)
		return true;
	rc = dial_look(fd);
	if (was == FLOW_FAILED) {
		if (rc < 0 && (event->flags & EV_EOF) != 0)
			event->fflags = (uint32_t)-rc; /* as so_error would be */
		return true;
	}
	if (rc == -EALREADY && event->filter == EVFILT_WRITE)
		return !hold(queue, asked, fd, event->udata);
	change(queue, asked, fd, event->filter, EV_ADD | EV_ENABLE, event->udata);
	return false;
}

/* What the program says of a filter that is held back counts from now on. */
static void heed(int queue, uint64_t ident, int16_t filter, uint16_t flags)
{
	struct watch *watch;
	sigset_t before;

	if (filter != EVFILT_WRITE || (flags & (EV_DELETE | EV_DISABLE)) == 0 || ident > INT_MAX)
		return;
	watches_enter(&before);
	watch = watches_find(queue, (int)ident);
	if (watch != NULL && flows_ours()) {
		change_own(queue, watch->asked, (int)ident, EV_DELETE);
		watches_forget(watch);
	}
	watches_leave(&before);
}

/* For the events of either call: those that the program is to see come first. */
#define OF_CALL(call, wide)                                                                        \
	static void heed_##call(int queue, const struct call *changes, int n)                      \
	{                                                                                          \
		for (int i = 0; i < n && atomic_load(&watches_held) != 0; i++)                     \
			heed(queue, changes[i].ident, changes[i].filter, changes[i].flags);        \
	}                                                                                          \
                                                                                                   \
	static int sift_##call(int queue, struct call *events, int n)                              \
	{                                                                                          \
		int kept = 0, error = errno;                                                       \
                                                                                                   \
		for (int i = 0; i < n; i++) {                                                      \
			struct told event = {events[i].ident, (uintptr_t)events[i].udata,          \
					     events[i].filter, events[i].flags,                    \
					     events[i].fflags};                                    \
                                                                                                   \
			if (!is_for_program(queue, wide, &event))                                  \
				continue;                                                          \
			events[kept] = events[i];                                                  \
			events[kept++].fflags = event.fflags;                                      \
		}                                                                                  \
		errno = error;                                                                     \
		return kept;                                                                       \
	}

OF_CALL(kevent, 0)
OF_CALL(kevent64_s, WIDE)

int wait_kevent(int queue, const struct kevent *changes, int n_changes, struct kevent *events,
		int room, const struct timespec *timeout)
{
	struct deadline deadline = deadline_after(timeout);
	struct timespec left;

	heed_kevent(queue, changes, n_changes);
	while (true) {
		int n = real(kevent)(queue, changes, n_changes, events, room, timeout);
		int kept = sift_kevent(queue, events, n);

		if (n <= 0 || kept > 0)
			return n <= 0 ? n : kept;
		n_changes = 0;
		timeout = deadline_left(deadline, &left);
	}
}

int wait_kevent64(int queue, const struct kevent64_s *changes, int n_changes,
		  struct kevent64_s *events, int room, unsigned flags,
		  const struct timespec *timeout)
{
	struct deadline deadline = deadline_after(timeout);
	struct timespec left;

	heed_kevent64_s(queue, changes, n_changes);
	while (true) {
		int n = real(kevent64)(queue, changes, n_changes, events, room, flags, timeout);
		int kept = sift_kevent64_s(queue, events, n);

		if (n <= 0 || kept > 0)
			return n <= 0 ? n : kept;
		n_changes = 0;
		timeout = deadline_left(deadline, &left);
	}
}
