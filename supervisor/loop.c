#include "loop.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <time.h>

int64_t loop_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int loop_open(struct loop *loop)
{
	list_init(&loop->timers);
	loop->queue = epoll_create1(EPOLL_CLOEXEC);
	return loop->queue == -1 ? -errno : 0;
}

static int control(struct loop *loop, int op, struct watch *watch, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = watch};

	return epoll_ctl(loop->queue, op, watch->fd, &ev) == -1 ? -errno : 0;
}

int loop_watch(struct loop *loop, struct watch *watch, uint32_t events)
{
	return control(loop, EPOLL_CTL_ADD, watch, events);
}

int loop_change(struct loop *loop, struct watch *watch, uint32_t events)
{
	return control(loop, EPOLL_CTL_MOD, watch, events);
}

void loop_forget(struct loop *loop, struct watch *watch)
{
	(void)control(loop, EPOLL_CTL_DEL, watch, 0);
}

void loop_timer(struct loop *loop, struct timer *timer, int64_t after_ms)
{
	struct list *later = loop->timers.prev;

	timer->at_ms = loop_now_ms() + after_ms;
	while (later != &loop->timers && list_entry(later, struct timer, node)->at_ms > timer->at_ms)
		later = later->prev;
	list_append(later->next, &timer->node);
}

void loop_stop_timer(struct timer *timer)
{
	list_remove(&timer->node);
}

static int next_deadline_ms(const struct loop *loop)
{
	int64_t left;

	if (list_empty(&loop->timers))
		return -1;
	left = list_entry(loop->timers.next, struct timer, node)->at_ms - loop_now_ms();
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

int loop_turn(struct loop *loop)
{
	struct epoll_event ev;
	/* One at a time: it may free what the others stand for. */
	int n = epoll_wait(loop->queue, &ev, 1, next_deadline_ms(loop));

	if (n == -1 && errno != EINTR)
		return -errno;
	if (n == 1) {
		struct watch *watch = ev.data.ptr;

		watch->ready(watch, ev.events);
	}
	while (!list_empty(&loop->timers)) {
		struct timer *timer = list_entry(loop->timers.next, struct timer, node);

		if (timer->at_ms > loop_now_ms())
			break;
		list_remove(&timer->node);
		timer->expired(timer);
	}
	return 0;
}
