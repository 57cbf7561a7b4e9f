/* Deadlines: a timeout that is waited for in several parts.
 *
 * Called by: wait_poll.c, wait_select.c, wait_epoll.c.  Owns: nothing.  Never: sleeps. */
#ifndef TELEPRESENCE_PRELOAD_CLOCK_H
#define TELEPRESENCE_PRELOAD_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct deadline {
	bool never;
	int64_t ns;
};

static inline int64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* NULL: never. */
static inline struct deadline deadline_after(const struct timespec *timeout)
{
	if (timeout == NULL)
		return (struct deadline){.never = true};
	return (struct deadline){
		.ns = clock_ns() + (int64_t)timeout->tv_sec * 1000000000 + timeout->tv_nsec,
	};
}

/* What is left, in *room; NULL: for ever. */
static inline const struct timespec *deadline_left(struct deadline deadline, struct timespec *room)
{
	int64_t left = deadline.ns - clock_ns();

	if (deadline.never)
		return NULL;
	if (left < 0)
		left = 0;
	*room = (struct timespec){.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
	return room;
}

#endif
