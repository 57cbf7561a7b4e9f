#include "waits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dial.h"
#include "flows.h"
#include "platform.h"
#include "real.h"

enum { ASKED = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM, HIDDEN = POLLIN | POLLRDHUP };
enum { ON_STACK = 64 };

/* Waits for the answers of pending sockets in place of what is asked. */
static void disguise(struct pollfd *to, const struct pollfd *from, nfds_t n)
{
	for (nfds_t i = 0; i < n; i++) {
		to[i] = from[i];
		if ((from[i].events & ASKED) == 0 || !flow_pending(from[i].fd))
			continue;
		to[i].events = HIDDEN;
	}
}

/* Takes what is not to be seen out of the result.  True: one is settled, ask again. */
static bool unmask(struct pollfd *asked, struct pollfd *got, nfds_t n, int *ready)
{
	bool settled = false;

	for (nfds_t i = 0; i < n; i++) {
		bool hidden = asked[i].events != got[i].events;

		asked[i].revents = got[i].revents;
		if (!hidden || got[i].revents == 0)
			continue;
		if (dial_look(asked[i].fd) != -EALREADY)
			settled = true;
		asked[i].revents = 0;
		--*ready;
	}
	return settled;
}

static int loop(struct pollfd *fds, struct pollfd *copy, nfds_t n, const struct timespec *timeout,
		const sigset_t *mask)
{
	struct deadline deadline = deadline_after(timeout);
	struct timespec room;

	while (true) {
		int ready;

		disguise(copy, fds, n);
		ready = platform_poll(copy, n, deadline_left(deadline, &room), mask);
		if (ready == -1)
			return -1;
		if (ready == 0)
			return unmask(fds, copy, n, &ready), 0;
		/* Once one is settled the program's own question is put, and answered at once. */
		if (!unmask(fds, copy, n, &ready) && ready > 0)
			return ready;
	}
}

int wait_poll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	struct pollfd on_stack[ON_STACK], *copy = on_stack;
	int ready, error;

	if (atomic_load(&flows_unsettled) == 0 || fds == NULL)
		return platform_poll(fds, n, timeout, mask);
	if (n > ON_STACK) {
		copy = calloc(n, sizeof *copy);
		if (copy == NULL)
			return platform_poll(fds, n, timeout, mask);
	}
	ready = loop(fds, copy, n, timeout, mask);
	error = errno;
	if (copy != on_stack)
		free(copy);
	errno = error;
	return ready;
}
