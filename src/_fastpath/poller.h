/* Edge-triggered readiness of file descriptors.
 *
 * Called by: loop.c, and whoever registers a descriptor.
 * Owns: the kernel's queue.  Never: owns the registered descriptors.
 * One file per kernel interface implements it: poller_epoll.c (epoll(7)),
 * poller_kqueue.c (kqueue(2)). */
#ifndef TELEPRESENCE_POLLER_H
#define TELEPRESENCE_POLLER_H

/* HANGUP: the peer sends no more.  BROKEN: neither direction works any more. */
enum poll_event { POLL_READ = 1, POLL_WRITE = 2, POLL_HANGUP = 4, POLL_BROKEN = 8 };

struct poll_item {
	int fd; /* -1: not registered */
	/* POLL_* bits; the item may be closed, but not freed, inside. */
	void (*ready)(struct poll_item *item, unsigned events);
};

struct poll_ready {
	struct poll_item *item;
	unsigned events;
};

/* A descriptor, or -errno. */
int poller_open(void);
/* Report every change of readiness of item->fd from now on, and at once what it is: 0 or -errno. */
int poller_add(int poller, struct poll_item *item);
/* Let another item stand for the same descriptor from now on; reports at once as poller_add(). */
int poller_replace(int poller, struct poll_item *item);
/* Up to `max` events; timeout_ms -1 waits without end.  Returns how many, or -errno. */
int poller_wait(int poller, struct poll_ready *ready, int max, int timeout_ms);

#endif
