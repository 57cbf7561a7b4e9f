/* What is used here of kqueue(2), for Linux; the numbers are those of macOS.
 *
 * Called by: poller_kqueue.c in the build of test_portable.py, preload/wait_kqueue.c and the
 * programs of tests/preload/test_kqueue.py.
 * Owns: a queue, which is an epoll(7) descriptor.  Never: part of the product. */
#ifndef TELEPRESENCE_TEST_EVENT_H
#define TELEPRESENCE_TEST_EVENT_H

#include <stdint.h>
#include <time.h>

enum { EVFILT_READ = -1, EVFILT_WRITE = -2 };
enum {
	EV_ADD = 0x1,
	EV_DELETE = 0x2,
	EV_ENABLE = 0x4,
	EV_DISABLE = 0x8,
	EV_ONESHOT = 0x10,
	EV_CLEAR = 0x20,
	EV_RECEIPT = 0x40,
	EV_DISPATCH = 0x80,
	EV_UDATA_SPECIFIC = 0x100,
	EV_ERROR = 0x4000,
	EV_EOF = 0x8000
};

struct kevent {
	uintptr_t ident;
	int16_t filter;
	uint16_t flags;
	uint32_t fflags;
	intptr_t data;
	void *udata;
};

struct kevent64_s {
	uint64_t ident;
	int16_t filter;
	uint16_t flags;
	uint32_t fflags;
	int64_t data;
	uint64_t udata;
	uint64_t ext[2];
};

#define EV_SET(event, a, b, c, d, e, f)                                                            \
	(*(event) = (struct kevent){(uintptr_t)(a), (int16_t)(b), (uint16_t)(c), (uint32_t)(d),    \
				    (intptr_t)(e), (f)})

int kqueue(void);
int kevent(int queue, const struct kevent *changes, int n_changes, struct kevent *events,
	   int room, const struct timespec *timeout);
int kevent64(int queue, const struct kevent64_s *changes, int n_changes,
	     struct kevent64_s *events, int room, unsigned flags, const struct timespec *timeout);

#endif
