/* Wait for descriptors and for deadlines, in one thread.
 *
 * Called by: main.c (runs it), everything that waits.
 * Owns: the kernel's queue.  Never: owns a registered descriptor.
 *
 * A descriptor of the program's is open in the program as well: closing ours does not take it out
 * of the queue, loop_forget() does. */
#ifndef TELEPRESENCE_SUPERVISOR_LOOP_H
#define TELEPRESENCE_SUPERVISOR_LOOP_H

#include <stdint.h>

#include "list.h"

struct loop {
	int queue;
	struct list timers; /* by deadline, the next one first */
};

struct watch {
	int fd;
	/* EPOLL* bits, level-triggered.  The watch may be forgotten and freed inside. */
	void (*ready)(struct watch *watch, uint32_t events);
};

struct timer {
	struct list node;
	int64_t at_ms;
	void (*expired)(struct timer *timer);
};

/* Each int: 0 or -errno. */
int loop_open(struct loop *loop);
int loop_watch(struct loop *loop, struct watch *watch, uint32_t events);
int loop_change(struct loop *loop, struct watch *watch, uint32_t events);
void loop_forget(struct loop *loop, struct watch *watch);
void loop_timer(struct loop *loop, struct timer *timer, int64_t after_ms);
void loop_stop_timer(struct timer *timer);
/* Once: wait, and call one that is ready or those that have expired. */
int loop_turn(struct loop *loop);
int64_t loop_now_ms(void);

#endif
