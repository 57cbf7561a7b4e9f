#include "waits.h"

#include <errno.h>
#include <stdbool.h>

#include "clock.h"
#include "dial.h"
#include "flows.h"
#include "real.h"

struct sets {
	fd_set readable, writable, except, hidden;
};

static bool asked(int fd, const fd_set *set)
{
	return set != NULL && FD_ISSET(fd, set);
}

/* Pending sockets move to `readable`, where their answer will show; `hidden` remembers them. */
static void disguise(struct sets *to, int n, const fd_set *readable, const fd_set *writable,
		     const fd_set *except)
{
	FD_ZERO(&to->readable);
	FD_ZERO(&to->writable);
	FD_ZERO(&to->except);
	FD_ZERO(&to->hidden);
	for (int fd = 0; fd < n; fd++) {
		bool in = asked(fd, readable), out = asked(fd, writable);

		if ((in || out) && flow_pending(fd)) {
			FD_SET(fd, &to->readable);
			FD_SET(fd, &to->hidden);
			continue;
		}
		if (in)
			FD_SET(fd, &to->readable);
		if (out)
			FD_SET(fd, &to->writable);
		if (asked(fd, except))
			FD_SET(fd, &to->except);
	}
}

/* True: a pending one is settled, ask again. */
static bool unmask(struct sets *got, int n, int *ready)
{
	bool settled = false;

	for (int fd = 0; fd < n; fd++) {
		if (!FD_ISSET(fd, &got->hidden) || !FD_ISSET(fd, &got->readable))
			continue;
		if (dial_look(fd) != -EALREADY)
			settled = true;
		FD_CLR(fd, &got->readable);
		--*ready;
	}
	return settled;
}

static void put(fd_set *to, const fd_set *from, int n)
{
	for (int fd = 0; to != NULL && fd < n; fd++)
		if (!FD_ISSET(fd, from))
			FD_CLR(fd, to);
}

int wait_select(int n, fd_set *readable, fd_set *writable, fd_set *except,
		const struct timespec *timeout, const sigset_t *mask)
{
	struct deadline deadline = deadline_after(timeout);
	struct timespec room;
	struct sets sets;

	/* Larger sets than fd_set are a trick of few programs; they go by the slow way. */
	if (atomic_load(&flows_unsettled) == 0 || n < 0 || n > FD_SETSIZE)
		return real(pselect)(n, readable, writable, except, timeout, mask);
	while (true) {
		int ready;

		disguise(&sets, n, readable, writable, except);
		ready = real(pselect)(n, &sets.readable, &sets.writable, &sets.except,
				      deadline_left(deadline, &room), mask);
		if (ready == -1)
			return -1;
		if (ready > 0 && (unmask(&sets, n, &ready) || ready == 0))
			continue;
		put(readable, &sets.readable, n);
		put(writable, &sets.writable, n);
		put(except, &sets.except, n);
		return ready;
	}
}
