#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "acceptor.h"
#include "hold.h"
#include "pair.h"
#include "pump.h"
#include "resolver.h"
#include "server.h"
#include "tunnel.h"
#include "udp_inlet.h"
#include "udp_redirect.h"

enum {
	READY_MAX = 128,
	TICK_MS = 100, /* how soon a listener that met EMFILE tries again */
};

static const uint64_t timer_us[TIMER_CLASSES] = {
	/* A few hundred bytes; OpenSSH's LoginGraceTime allows 120 s for much more. */
	[TIMER_HANDSHAKE] = 30 * 1000000u,
	/* Twisted's and Telepresence 1's connect timeout. */
	[TIMER_DIAL] = 30 * 1000000u,
	/* It happens at once on loopback; a full backlog costs the kernel's first repetitions, 1 and 2 s. */
	[TIMER_CLAIM] = 5 * 1000000u,
	/* As long as other tracking keeps it: nf_conntrack_udp_timeout_stream is 120 s, and 30 s one-way. */
	[TIMER_DATAGRAMS] = 60 * 1000000u,
};

uint64_t clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

void engine_wake(struct engine *engine)
{
	bell_ring(&engine->wake_bell);
}

static void wake_ready(struct poll_item *item, unsigned events)
{
	(void)events;
	bell_still(&list_entry(item, struct engine, wake)->wake_bell);
}

void engine_task(struct engine *engine, struct task *task)
{
	if (list_empty(&task->node))
		list_append(&engine->tasks, &task->node);
}

void engine_timer(struct engine *engine, struct timer *timer, enum timer_class class)
{
	list_remove(&timer->node);
	timer->due_us = engine->now_us + timer_us[class];
	list_append(&engine->timers[class], &timer->node);
}

void engine_bury(struct engine *engine, struct grave *grave)
{
	list_append(&engine->graves, &grave->node);
}

struct engine_event *engine_event(struct engine *engine, enum event_kind kind)
{
	struct engine_event *event = calloc(1, sizeof *event);

	if (event == NULL)
		return NULL;
	event->kind = kind;
	event->fd = -1;
	list_append(&engine->events, &event->node);
	bell_ring(&engine->event_bell);
	return event;
}

struct engine_event *engine_take_event(struct engine *engine)
{
	struct list *node = list_shift(&engine->events);

	if (list_empty(&engine->events))
		bell_still(&engine->event_bell);
	return node == NULL ? NULL : list_entry(node, struct engine_event, node);
}

#define DEFINE_FIND(type, members)                                                             \
	struct type *engine_find_##type(struct engine *engine, uint64_t number)               \
	{                                                                                      \
		for (struct list *n = engine->members.next; n != &engine->members; n = n->next) { \
			struct type *found = list_entry(n, struct type, node);                 \
			if (found->number == number)                                           \
				return found;                                                  \
		}                                                                              \
		return NULL;                                                                   \
	}

DEFINE_FIND(tunnel, tunnels)
DEFINE_FIND(server, servers)
DEFINE_FIND(pair, relays)
DEFINE_FIND(hold, holds)
DEFINE_FIND(udp_redirect, redirects)

/* Run what was due when the turn began; what that makes due waits for the next turn. */
static void run_tasks(struct engine *engine)
{
	struct list due, *node;

	list_init(&due);
	while ((node = list_shift(&engine->tasks)) != NULL)
		list_append(&due, node);
	while ((node = list_shift(&due)) != NULL) {
		struct task *task = list_entry(node, struct task, node);

		task->run(task);
	}
}

static void run_timers(struct engine *engine)
{
	for (size_t i = 0; i < TIMER_CLASSES; i++)
		while (!list_empty(&engine->timers[i])) {
			struct timer *timer = list_entry(engine->timers[i].next, struct timer, node);

			if (timer->due_us > engine->now_us)
				break;
			list_remove(&timer->node);
			timer->expired(timer);
		}
}

static int wait_ms(struct engine *engine)
{
	uint64_t due = UINT64_MAX;

	if (!list_empty(&engine->tasks))
		return 0;
	for (size_t i = 0; i < TIMER_CLASSES; i++)
		if (!list_empty(&engine->timers[i])) {
			struct timer *timer = list_entry(engine->timers[i].next, struct timer, node);

			due = timer->due_us < due ? timer->due_us : due;
		}
	for (struct list *n = engine->tunnels.next; n != &engine->tunnels; n = n->next) {
		uint64_t t = tunnel_due_us(list_entry(n, struct tunnel, node));

		due = t < due ? t : due;
	}
	if (!list_empty(&engine->starved))
		return TICK_MS;
	if (due == UINT64_MAX)
		return -1;
	return due <= engine->now_us ? 0 : (int)((due - engine->now_us) / 1000u + 1);
}

static void bury(struct engine *engine)
{
	struct list *node;

	while ((node = list_shift(&engine->graves)) != NULL)
		free(list_entry(node, struct grave, node));
}

static void turn(struct engine *engine, const struct poll_ready *ready, int n)
{
	struct list starved, *node;

	engine->now_us = clock_us();
	for (int i = 0; i < n; i++)
		if (ready[i].item->fd != -1)
			ready[i].item->ready(ready[i].item, ready[i].events);
	resolver_deliver(engine->resolver);
	run_tasks(engine);
	run_timers(engine);
	for (node = engine->tunnels.next; node != &engine->tunnels; node = node->next)
		tunnel_turn(list_entry(node, struct tunnel, node));
	list_init(&starved);
	while ((node = list_shift(&engine->starved)) != NULL)
		list_append(&starved, node);
	while ((node = list_shift(&starved)) != NULL)
		acceptor_retry(list_entry(node, struct acceptor, starved));
	bury(engine);
}

static void *loop(void *argument)
{
	struct engine *engine = argument;
	struct poll_ready ready[READY_MAX];

	pthread_mutex_lock(&engine->lock);
	while (!engine->stopping) {
		int timeout = wait_ms(engine);
		int n;

		pthread_mutex_unlock(&engine->lock);
		n = poller_wait(engine->poller, ready, READY_MAX, timeout);
		pthread_mutex_lock(&engine->lock);
		turn(engine, ready, n > 0 ? n : 0);
	}
	pthread_mutex_unlock(&engine->lock);
	return NULL;
}

static int thread_start(struct engine *engine)
{
	sigset_t all, before;
	int rc;

	/* Signals belong to Python's threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&engine->thread, NULL, loop, engine);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

static void lists_init(struct engine *engine)
{
	struct list *lists[] = {&engine->tasks,	  &engine->graves, &engine->events,
				&engine->tunnels, &engine->servers, &engine->relays,
				&engine->clients, &engine->inlets, &engine->redirects,
				&engine->holds,
				&engine->starved};

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		list_init(lists[i]);
	for (size_t i = 0; i < TIMER_CLASSES; i++)
		list_init(&engine->timers[i]);
}

struct engine *engine_start(void)
{
	struct engine *engine = calloc(1, sizeof *engine);
	int rung;

	if (engine == NULL)
		return NULL;
	lists_init(engine);
	pthread_mutex_init(&engine->lock, NULL);
	engine->now_us = clock_us();
	engine->wake.ready = wake_ready;
	engine->poller = poller_open();
	rung = bell_open(&engine->wake_bell) + bell_open(&engine->event_bell);
	engine->wake.fd = engine->wake_bell.fd;
	engine->resolver = resolver_open(engine);
	if (engine->poller >= 0 && rung == 0 && engine->resolver != NULL && poller_add(engine->poller, &engine->wake) == 0 &&
	    thread_start(engine) == 0)
		return engine;
	if (engine->resolver != NULL)
		resolver_close(engine->resolver);
	close(engine->poller);
	bell_close(&engine->wake_bell);
	bell_close(&engine->event_bell);
	free(engine);
	return NULL;
}

void engine_stop(struct engine *engine)
{
	struct engine_event *event;

	pthread_mutex_lock(&engine->lock);
	engine->stopping = true;
	engine_wake(engine);
	pthread_mutex_unlock(&engine->lock);
	pthread_join(engine->thread, NULL);
	while (!list_empty(&engine->servers))
		server_close(list_entry(engine->servers.next, struct server, node));
	while (!list_empty(&engine->clients))
		client_close(list_entry(engine->clients.next, struct client, node));
	while (!list_empty(&engine->inlets))
		udp_close(&list_entry(engine->inlets.next, struct udp_inlet, node)->half);
	while (!list_empty(&engine->tunnels))
		tunnel_close(list_entry(engine->tunnels.next, struct tunnel, node));
	while (!list_empty(&engine->relays))
		pair_close(list_entry(engine->relays.next, struct pair, node));
	resolver_close(engine->resolver);
	while ((event = engine_take_event(engine)) != NULL) {
		if (event->fd != -1)
			close(event->fd);
		free(event);
	}
	bury(engine);
	pumps_clear(engine);
	pool_clear(&engine->pool);
	free(engine->udp);
	close(engine->poller);
	bell_close(&engine->wake_bell);
	bell_close(&engine->event_bell);
	pthread_mutex_destroy(&engine->lock);
	free(engine);
}
