#include "relay.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 64 * 1024 };

struct relay;

/* One socket, and what has been read from it and not yet been written to the other. */
struct side {
	struct watch watch;
	struct relay *relay;
	struct side *other;
	uint32_t events; /* waited for now */
	bool ended, passed; /* its end of file: read; told to the other */
	size_t from, to;
	uint8_t bytes[BUFFER];
};

struct relay {
	struct list node;
	struct loop *loop;
	struct side sides[2];
};

static void drop(struct relay *relay)
{
	for (int i = 0; i < 2; i++) {
		loop_forget(relay->loop, &relay->sides[i].watch);
		close(relay->sides[i].watch.fd);
	}
	list_remove(&relay->node);
	free(relay);
}

static void reset(struct relay *relay)
{
	const struct linger at_once = {1, 0};

	for (int i = 0; i < 2; i++)
		(void)setsockopt(relay->sides[i].watch.fd, SOL_SOCKET, SO_LINGER, &at_once,
				 sizeof at_once);
	drop(relay);
}

/* From one side to the other, once: 1 some, 0 none, -errno. */
static int move(struct side *side)
{
	int moved = 0;

	if (side->from == side->to && !side->ended) {
		ssize_t n = recv(side->watch.fd, side->bytes, sizeof side->bytes, MSG_DONTWAIT);

		if (n == -1)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		side->ended = n == 0;
		side->from = 0;
		side->to = (size_t)n;
		moved = 1;
	}
	if (side->from < side->to) {
		ssize_t n = send(side->other->watch.fd, side->bytes + side->from,
				 side->to - side->from, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n == -1)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		side->from += (size_t)n;
		moved = 1;
	}
	if (side->ended && side->from == side->to && !side->passed) {
		(void)shutdown(side->other->watch.fd, SHUT_WR);
		side->passed = true;
	}
	return moved;
}

static void wait_for(struct side *side)
{
	bool room = side->from == side->to && !side->ended;
	bool owed = side->other->from < side->other->to;
	uint32_t events = (room ? (uint32_t)EPOLLIN : 0) | (owed ? (uint32_t)EPOLLOUT : 0);

	if (events != side->events && loop_change(side->relay->loop, &side->watch, events) == 0)
		side->events = events;
}

static void on_ready(struct watch *watch, uint32_t ready)
{
	struct side *side = list_entry(watch, struct side, watch);
	struct relay *relay = side->relay;
	int rc[2] = {move(&relay->sides[0]), move(&relay->sides[1])};

	if (rc[0] < 0 || rc[1] < 0 || ((ready & EPOLLERR) != 0 && rc[0] == 0 && rc[1] == 0)) {
		reset(relay);
		return;
	}
	if (relay->sides[0].passed && relay->sides[1].passed) {
		drop(relay);
		return;
	}
	wait_for(&relay->sides[0]);
	wait_for(&relay->sides[1]);
}

int relay_open(struct loop *loop, struct list *relays, int a, int b)
{
	struct relay *relay = calloc(1, sizeof *relay);
	const int fds[2] = {a, b};
	int rc = relay == NULL ? -ENOMEM : 0;

	for (int i = 0; rc == 0 && i < 2; i++) {
		struct side *side = &relay->sides[i];

		side->watch = (struct watch){fds[i], on_ready};
		side->relay = relay;
		side->other = &relay->sides[1 - i];
		side->events = EPOLLIN;
		rc = loop_watch(loop, &side->watch, EPOLLIN);
		if (rc != 0 && i == 1)
			loop_forget(loop, &relay->sides[0].watch);
	}
	if (rc != 0) {
		free(relay);
		return rc;
	}
	relay->loop = loop;
	list_append(relays, &relay->node);
	return 0;
}

void relay_drop_all(struct list *relays)
{
	while (!list_empty(relays))
		drop(list_entry(relays->next, struct relay, node));
}
