/* The loop that moves all bytes: one thread, one poller, no allocation per chunk.
 *
 * Called by: engine.pyx (life, events), and by every part that lives in the loop.
 * Owns: the thread, the poller, the block pool, and through their lists all tunnels and servers.
 * Never: calls Python.
 *
 * `lock` is held while the loop works and is let go while it waits, so a caller that holds it may
 * use any part of the engine as the loop itself would. */
#ifndef TELEPRESENCE_LOOP_H
#define TELEPRESENCE_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "bell.h"
#include "block.h"
#include "list.h"
#include "poller.h"
#include "sockets.h"

enum { PIPES_KEEP = 64 }; /* as many directions move at once */

struct engine;
struct hold;
struct pair;
struct resolver;
struct server;
struct tunnel;
struct udp_batch;
struct udp_redirect;

/* Work that is due in the next turn of the loop. */
struct task {
	struct list node;
	void (*run)(struct task *task);
};

/* Something that ends `duration_us` of its class after it was armed. */
enum timer_class {
	TIMER_HANDSHAKE, /* a client that does not finish its request */
	TIMER_DIAL,	 /* one address that does not answer */
	TIMER_CLAIM,	 /* a connection that was let through, until it is accepted */
	TIMER_DATAGRAMS, /* redirected ones: a program's socket that is silent */
	TIMER_CLASSES,
};

struct timer {
	struct list node;
	uint64_t due_us;
	void (*expired)(struct timer *timer);
};

/* Memory that must outlive the batch of events that may still name it. */
struct grave {
	struct list node;
};

/* Empty pipes between one use and the next: making one costs more than a small message. */
struct pipes {
	int ends[PIPES_KEEP][2];
	int count;
};

/* In the order of events.py. */
enum event_kind {
	EVENT_CARRIER_LOST,
	EVENT_TUNNEL_BROKEN,
	EVENT_SERVICE_OPENED,
	EVENT_LISTENING,
	EVENT_DIAL_REFUSED,
};

struct engine_event {
	struct list node;
	enum event_kind kind;
	uint64_t tunnel;   /* its number */
	uint64_t received; /* CARRIER_LOST: offset for the next HELLO */
	uint64_t listener; /* LISTENING, DIAL_REFUSED: its number */
	uint16_t port;	   /* LISTENING, DIAL_REFUSED: of the pod */
	int error;	   /* errno, or 0 */
	int fd;		   /* SERVICE_OPENED: the taker owns it */
	char name[256];	   /* SERVICE_OPENED */
};

struct counters {
	_Atomic uint64_t streams_opened, streams_accepted, streams_reset;
	_Atomic uint64_t tunnel_bytes_in, tunnel_bytes_out;
	_Atomic uint64_t relays, dials_failed, lookups, clients, held;
	_Atomic uint64_t associations, datagrams, datagrams_dropped;
};

struct engine {
	pthread_mutex_t lock;
	pthread_t thread;
	int poller;
	struct bell event_bell; /* rung while `events` holds something */
	bool stopping;
	struct bell wake_bell;
	struct poll_item wake;
	struct pool pool;
	struct pipes pipes;
	struct list tasks, graves, events, timers[TIMER_CLASSES];
	struct list tunnels, servers, relays, clients, inlets, redirects, holds;
	struct list starved; /* listeners that met EMFILE */
	struct resolver *resolver;
	struct udp_batch *udp; /* NULL: not needed yet */
	uint64_t now_us; /* monotonic, as of this turn */
	uint64_t numbers;
	struct counters counters;
};

/* A running engine, or NULL with errno. */
struct engine *engine_start(void);
/* Ends the thread, closes everything that the engine owns and frees it. */
void engine_stop(struct engine *engine);

/* The calls below need the lock. */
void engine_wake(struct engine *engine);
void engine_task(struct engine *engine, struct task *task);
void engine_timer(struct engine *engine, struct timer *timer, enum timer_class class);
void engine_bury(struct engine *engine, struct grave *grave);
/* The oldest event or NULL; the caller frees it. */
struct engine_event *engine_take_event(struct engine *engine);
struct engine_event *engine_event(struct engine *engine, enum event_kind kind);

/* By number, so that a caller outside the loop never holds what may be gone; NULL: gone. */
struct tunnel *engine_find_tunnel(struct engine *engine, uint64_t number);
struct server *engine_find_server(struct engine *engine, uint64_t number);
struct hold *engine_find_hold(struct engine *engine, uint64_t number);
struct udp_redirect *engine_find_udp_redirect(struct engine *engine, uint64_t number);
struct pair *engine_find_pair(struct engine *engine, uint64_t number);

uint64_t clock_us(void);

#endif
