#include "relay.h"

#include "ahead.h"
#include "onward.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS: main.c ignores the signal */
#endif

enum { FULL_BYTES = 4 << 20, READ_BYTES = 1 << 18, NONE = -1 };

double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void put_packet(struct queue *q, uint8_t type, uint32_t id, const void *body, size_t n_bytes)
{
	queue_put_u32(q, (uint32_t)(n_bytes + 5));
	queue_put(q, &type, 1);
	queue_put_u32(q, id);
	queue_put(q, body, n_bytes);
}

static uint32_t free_place(struct relay *r)
{
	if (r->first_free == (uint32_t)NONE) {
		uint32_t n = r->n_asked == 0 ? 64 : r->n_asked * 2;
		struct asked *more = realloc(r->asked, n * sizeof *more);
		if (more == NULL)
			_Exit(1);
		for (uint32_t i = r->n_asked; i < n; i++)
			more[i] = (struct asked){ .next_free = i + 1 < n ? i + 1 : (uint32_t)NONE };
		r->first_free = r->n_asked;
		r->asked = more;
		r->n_asked = n;
	}
	uint32_t i = r->first_free;
	r->first_free = r->asked[i].next_free;
	return i;
}

struct asked *relay_ask(struct relay *r, enum owner owner, uint8_t type, uint32_t client_id,
						const void *body, size_t n_bytes)
{
	uint32_t i = free_place(r);
	r->asked[i] = (struct asked){ .owner = owner, .type = type, .client_id = client_id };
	if (r->waiting++ == 0)
		r->heard_at = now_s();
	put_packet(&r->to_server, type, i, body, n_bytes);
	return &r->asked[i];
}

static void answered(struct relay *r, uint32_t i)
{
	free(r->asked[i].path);
	r->asked[i] = (struct asked){ .next_free = r->first_free };
	r->first_free = i;
	r->waiting--;
}

void relay_answer(struct relay *r, uint8_t type, uint32_t client_id, const void *body,
				  size_t n_bytes)
{
	put_packet(&r->to_client, type, client_id, body, n_bytes);
}

struct queue *relay_answer_data(struct relay *r, uint32_t client_id, size_t n_bytes)
{
	struct queue *q = &r->to_client;
	unsigned char type = FXP_DATA;
	queue_reserve(q, n_bytes + 13);
	queue_put_u32(q, (uint32_t)(n_bytes + 9));
	queue_put(q, &type, 1);
	queue_put_u32(q, client_id);
	queue_put_u32(q, (uint32_t)n_bytes);
	return q;
}

void relay_status(struct relay *r, uint32_t client_id, uint32_t code)
{
	unsigned char body[12] = { 0, 0, 0, (unsigned char)code };  /* no message, no language */
	relay_answer(r, FXP_STATUS, client_id, body, sizeof body);
}

void relay_forward(struct relay *r, uint8_t type, uint32_t id, const void *body, size_t n_bytes)
{
	if (r->lost) {
		relay_status(r, id, FX_NO_CONNECTION);
		return;
	}
	char *path = ahead_path(r->ahead, type, (struct cursor){ body, n_bytes, false });
	relay_ask(r, CLIENT, type, id, body, n_bytes)->path = path;
}

static void on_client(struct relay *r, uint8_t type, uint32_t id, const unsigned char *body,
					  size_t n_bytes)
{
	if (!ahead_knows(r->ahead, type, id, body, n_bytes)
		&& !onward_knows(r->onward, type, id, (struct cursor){ body, n_bytes, false }))
		relay_forward(r, type, id, body, n_bytes);
}

static void on_server(struct relay *r, uint8_t type, uint32_t id, const unsigned char *body,
					  size_t n_bytes)
{
	if (id >= r->n_asked || r->asked[id].owner == FREE)
		return;
	struct asked a = r->asked[id];
	r->asked[id].path = NULL;
	answered(r, id);
	if (a.owner == NOBODY && type == FXP_HANDLE)  /* nobody will close it */
		relay_ask(r, OURS, FXP_CLOSE, 0, body, n_bytes);
	if (a.owner == OURS && a.fetch != NULL)
		ahead_fetched(r->ahead, a.fetch, type, body, n_bytes);
	if (a.owner == OURS && a.piece != NULL)
		onward_fetched(r->onward, a.piece, type, (struct cursor){ body, n_bytes, false });
	if (a.owner == CLIENT && !ahead_holds(r->ahead, &a, type, body, n_bytes))
		relay_answer(r, type, a.client_id, body, n_bytes);
	free(a.path);
}

/* Each whole packet; INIT and VERSION have no id and pass as they are.  False: no SFTP. */
static bool take_packets(struct relay *r, struct queue *from, struct queue *to,
						 void (*on_packet)(struct relay *, uint8_t, uint32_t,
										   const unsigned char *, size_t))
{
	while (queue_held(from) >= 9) {
		struct cursor c = { from->at + from->begin, queue_held(from), false };
		size_t len = take_u32(&c);
		if (len < 5 || len > PACKET_BYTES)
			return false;
		if (queue_held(from) < len + 4)
			return true;
		uint8_t type = *c.at;
		if (type == FXP_INIT || type == FXP_VERSION) {
			queue_put(to, from->at + from->begin, len + 4);
		} else {
			c.at++, c.left--;
			uint32_t id = take_u32(&c);
			on_packet(r, type, id, c.at, len - 5);
		}
		queue_drop(from, len + 4);
	}
	return true;
}

/* 1: go on, 0: the other end is closed. */
static int receive(int fd, struct queue *q)
{
	queue_reserve(q, READ_BYTES);
	ssize_t n = recv(fd, q->at + q->end, q->size - q->end, MSG_DONTWAIT);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR;
	q->end += (size_t)n;
	return n > 0;
}

static int transmit(int fd, struct queue *q)
{
	while (queue_held(q) > 0) {
		ssize_t n = send(fd, q->at + q->begin, queue_held(q), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n == -1)
			return errno == EAGAIN || errno == EINTR;
		queue_drop(q, (size_t)n);
	}
	return 1;
}

static void give_up(struct relay *r)
{
	r->lost = true;
	onward_give_up(r->onward);
	for (uint32_t i = 0; i < r->n_asked; i++) {
		struct asked *a = &r->asked[i];
		struct fetch *fetch = a->fetch;
		struct piece *piece = a->piece;
		if (a->owner == CLIENT)
			relay_status(r, a->client_id, FX_NO_CONNECTION);
		a->fetch = NULL;
		a->piece = NULL;
		if (a->owner != FREE)
			a->owner = NOBODY;
		if (fetch != NULL)
			ahead_fetched(r->ahead, fetch, FXP_STATUS, NULL, 0);
		if (piece != NULL)
			onward_fetched(r->onward, piece, FXP_STATUS, (struct cursor){ NULL, 0, true });
	}
	ahead_give_up(r->ahead);
}

static int poll_ms(const struct relay *r)
{
	if (r->waiting == 0 || r->lost)
		return -1;
	double left_s = r->heard_at + r->timeout_s - now_s();
	return left_s > 0 ? (int)(left_s * 1e3) + 1 : 0;
}

int relay_run(struct relay *r)
{
	r->first_free = (uint32_t)NONE;
	for (;;) {
		struct pollfd p[2] = { { .fd = r->client }, { .fd = r->server } };
		p[0].events = (short)((queue_held(&r->to_server) < FULL_BYTES ? POLLIN : 0)
							  | (queue_held(&r->to_client) > 0 ? POLLOUT : 0));
		p[1].events = (short)((queue_held(&r->to_client) < FULL_BYTES ? POLLIN : 0)
							  | (queue_held(&r->to_server) > 0 ? POLLOUT : 0));
		int n = poll(p, 2, poll_ms(r));
		if (n == -1 && errno != EINTR)
			return 1;
		if (n == 0)
			give_up(r);
		if (p[1].revents & (POLLIN | POLLHUP | POLLERR)) {
			r->heard_at = now_s();
			r->lost = false;
			if (!receive(r->server, &r->from_server))
				return 0;
			if (!take_packets(r, &r->from_server, &r->to_client, on_server))
				return 1;
		}
		if (p[0].revents & (POLLIN | POLLHUP | POLLERR)) {
			if (!receive(r->client, &r->from_client))
				return 0;
			if (!take_packets(r, &r->from_client, &r->to_server, on_client))
				return 1;
		}
		if (!transmit(r->client, &r->to_client) || !transmit(r->server, &r->to_server))
			return 0;
	}
}
