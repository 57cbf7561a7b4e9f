/* What poller_kqueue.c uses of kqueue(2), for Linux.
 *
 * Called by: poller_kqueue.c in the build of test_portable.py.
 * Owns: a queue, which is an epoll(7) descriptor.  Never: part of the product. */
#ifndef TELEPRESENCE_TEST_EVENT_H
#define TELEPRESENCE_TEST_EVENT_H

#include <stdint.h>
#include <time.h>

enum { EVFILT_READ = -1, EVFILT_WRITE = -2 };
enum { EV_ADD = 0x1, EV_CLEAR = 0x20, EV_EOF = 0x8000 };

struct kevent {
	uintptr_t ident;
	int16_t filter;
	uint16_t flags;
	uint32_t fflags;
	intptr_t data;
	void *udata;
};

#define EV_SET(event, a, b, c, d, e, f)                                                            \
	(*(event) = (struct kevent){(uintptr_t)(a), (int16_t)(b), (uint16_t)(c), (uint32_t)(d),    \
				    (intptr_t)(e), (f)})

int kqueue(void);
int kevent(int queue, const struct kevent *changes, int n_changes, struct kevent *events,
	   int n_events, const struct timespec *timeout);

#endif
