#include "tunnel.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "carrier.h"
#include "end.h"
#include "hold.h"
#include "join.h"
#include "opening.h"
#include "platform.h"
#include "server.h"
#include "udp_redirect.h"

enum {
	READS_A_TURN = 4,
	VECTORS = 16,
	NOTSENT_BYTES = 256 * 1024, /* bytes that the kernel may hold unsent; the rest stays ours */
};

static void tunnel_emit(void *context, const uint8_t head[FRAME_HEADER])
{
	struct tunnel *tunnel = context;
	size_t room;
	uint8_t *to = outbox_reserve(&tunnel->out, &tunnel->engine->pool, FRAME_HEADER, &room);

	if (to == NULL) {
		tunnel->broken = true; /* noticed at the end of the turn */
		return;
	}
	memcpy(to, head, FRAME_HEADER);
	outbox_commit(&tunnel->out, FRAME_HEADER);
}

static void carrier_drop(struct tunnel *tunnel)
{
	if (tunnel->carrier == NULL)
		return;
	tunnel->carrier->free(tunnel->carrier);
	tunnel->carrier = NULL;
	tunnel->item.fd = -1;
	tunnel->readable = tunnel->writable = tunnel->hangup = false;
	list_remove(&tunnel->task.node);
}

static void carrier_lost(struct tunnel *tunnel, int error)
{
	struct engine_event *event;

	carrier_drop(tunnel);
	event = engine_event(tunnel->engine, EVENT_CARRIER_LOST);
	if (event == NULL)
		return;
	event->tunnel = tunnel->number;
	event->received = tunnel->received;
	event->error = error;
}

static void reset_ends(struct tunnel *tunnel)
{
	while (!list_empty(&tunnel->ends)) {
		struct end *end = list_entry(tunnel->ends.next, struct end, node);

		end->kind->reset(end);
	}
}

/* The peer broke the protocol, or there is no memory: nothing of the session can be trusted. */
static void tunnel_break(struct tunnel *tunnel, int error)
{
	struct engine_event *event;

	tunnel->broken = true;
	carrier_drop(tunnel);
	reset_ends(tunnel);
	event = engine_event(tunnel->engine, EVENT_TUNNEL_BROKEN);
	if (event == NULL)
		return;
	event->tunnel = tunnel->number;
	event->error = error;
}

static void pong(struct tunnel *tunnel, uint64_t value)
{
	uint64_t sample = tunnel->engine->now_us - tunnel->pinged_us;

	if (value != tunnel->ping)
		return;
	/* RFC 6298's smoothing, an eighth of the sample. */
	if (tunnel->mux.rtt_us == 0)
		tunnel->mux.rtt_us = sample > 0 ? sample : 1;
	else
		tunnel->mux.rtt_us = (7 * tunnel->mux.rtt_us + sample) / 8;
}

static int dispatch(struct tunnel *tunnel, const struct mux_event *event)
{
	struct end *end = event->stream == NULL ? NULL : event->stream->owner;

	switch (event->kind) {
	case MUX_OPENED:
		opening_accept(tunnel, event->stream);
		return 0;
	case MUX_DATA:
		tunnel->engine->counters.tunnel_bytes_in += event->len;
		end->kind->data(end, event->data, event->len);
		return 0;
	case MUX_CREDIT:
		engine_task(tunnel->engine, &end->task);
		return 0;
	case MUX_FIN:
		end->kind->fin(end);
		return 0;
	case MUX_RESET:
		end->kind->reset(end);
		return 0;
	case MUX_PONG:
		pong(tunnel, event->value);
		return 0;
	case MUX_ACK:
		tunnel->owed -= FRAME_HEADER;
		return outbox_acknowledge(&tunnel->out, &tunnel->engine->pool, event->value);
	case MUX_GOAWAY: /* the peer's close of the carrier follows */
	case MUX_NONE:
		return 0;
	}
	return 0;
}

static int feed(struct tunnel *tunnel, const uint8_t *data, size_t len)
{
	struct mux_event event;

	for (;;) {
		ssize_t eaten = mux_take(&tunnel->mux, data, len, &event);
		int rc;

		if (eaten < 0)
			return (int)eaten;
		if (eaten == 0 && event.kind == MUX_NONE)
			return 0;
		rc = dispatch(tunnel, &event);
		if (rc != 0)
			return rc;
		data += eaten;
		len -= (size_t)eaten;
	}
}

static void carrier_run(struct task *task)
{
	struct tunnel *tunnel = list_entry(task, struct tunnel, task);

	for (int i = 0; i < READS_A_TURN && tunnel->readable; i++) {
		ssize_t n = tunnel->carrier->read(tunnel->carrier, tunnel->input, CARRIER_READ);
		int rc;

		if (n == -EAGAIN) {
			tunnel->readable = false;
			continue;
		}
		if (n <= 0) {
			carrier_lost(tunnel, (int)-n);
			return;
		}
		tunnel->readable = !tunnel->carrier->drained || tunnel->hangup;
		tunnel->heard_us = tunnel->engine->now_us;
		tunnel->received += (uint64_t)n;
		tunnel->owed += n;
		rc = feed(tunnel, tunnel->input, (size_t)n);
		if (rc != 0) {
			tunnel_break(tunnel, -rc);
			return;
		}
	}
	if (tunnel->readable)
		engine_task(tunnel->engine, task);
}

static void carrier_ready(struct poll_item *item, unsigned events)
{
	struct tunnel *tunnel = list_entry(item, struct tunnel, item);

	if ((events & POLL_READ) != 0 || tunnel->carrier->tangled) {
		tunnel->readable = true;
		engine_task(tunnel->engine, &tunnel->task);
	}
	tunnel->hangup |= (events & POLL_HANGUP) != 0;
	if ((events & POLL_WRITE) != 0)
		tunnel->writable = true;
}

static void carrier_flush(struct tunnel *tunnel)
{
	struct iovec vectors[VECTORS];

	while (tunnel->writable &&
	       (tunnel->out.written < tunnel->out.queued || tunnel->carrier->pending)) {
		size_t want = 0;
		ssize_t n;
		int count = outbox_vectors(&tunnel->out, vectors, VECTORS);

		for (int i = 0; i < count; i++)
			want += vectors[i].iov_len;
		n = tunnel->carrier->write(tunnel->carrier, vectors, count);
		if (n < 0) {
			tunnel->writable = false;
			/* What the peer sent before it went away is still to be read. */
			if (n != -EAGAIN && !tunnel->readable)
				carrier_lost(tunnel, (int)-n);
			return;
		}
		outbox_written(&tunnel->out, (size_t)n);
		tunnel->engine->counters.tunnel_bytes_out += (uint64_t)n;
		tunnel->writable = (size_t)n == want && !tunnel->carrier->pending;
	}
}

bool tunnel_full(const struct tunnel *tunnel)
{
	return tunnel->out.queued - tunnel->out.written >= UNSENT_MAX ||
	       tunnel->out.queued - tunnel->out.acked >= REPLAY_MAX;
}

static void wake_waiting(struct tunnel *tunnel)
{
	struct list *node;

	if (tunnel_full(tunnel))
		return;
	while ((node = list_shift(&tunnel->waiting)) != NULL)
		engine_task(tunnel->engine, &list_entry(node, struct end, waiting)->task);
}

static void acknowledge(struct tunnel *tunnel)
{
	uint64_t now = tunnel->engine->now_us;

	if (tunnel->owed <= 0) {
		tunnel->ack_due_us = UINT64_MAX;
	} else if (tunnel->owed >= ACK_BYTES || now >= tunnel->ack_due_us) {
		tunnel->owed = 0;
		tunnel->ack_due_us = UINT64_MAX;
		mux_ack(&tunnel->mux, tunnel->received);
	} else if (tunnel->ack_due_us == UINT64_MAX) {
		tunnel->ack_due_us = now + ACK_DELAY_US;
	}
}

/* A ping keeps idle timeouts of API servers and proxies away and shows a carrier that hangs. */
static void keep_alive(struct tunnel *tunnel)
{
	uint64_t now = tunnel->engine->now_us;

	if (now >= tunnel->ping_due_us) {
		tunnel->ping_due_us = now + PING_US;
		tunnel->pinged_us = now;
		mux_ping(&tunnel->mux, ++tunnel->ping);
	}
	if (now >= tunnel->heard_us + SILENCE_US)
		carrier_lost(tunnel, ETIMEDOUT);
}

void tunnel_turn(struct tunnel *tunnel)
{
	if (tunnel->carrier == NULL)
		return;
	if (tunnel->broken) {
		tunnel_break(tunnel, ENOMEM);
		return;
	}
	acknowledge(tunnel);
	keep_alive(tunnel);
	carrier_flush(tunnel);
	wake_waiting(tunnel);
}

uint64_t tunnel_due_us(const struct tunnel *tunnel)
{
	uint64_t due = tunnel->heard_us + SILENCE_US;

	if (tunnel->carrier == NULL)
		return UINT64_MAX;
	due = tunnel->ping_due_us < due ? tunnel->ping_due_us : due;
	return tunnel->ack_due_us < due ? tunnel->ack_due_us : due;
}

struct tunnel *tunnel_open(struct engine *engine, bool agent)
{
	struct tunnel *tunnel = calloc(1, sizeof *tunnel);

	if (tunnel == NULL)
		return NULL;
	tunnel->input = malloc(CARRIER_READ);
	if (tunnel->input == NULL) {
		free(tunnel);
		return NULL;
	}
	tunnel->engine = engine;
	tunnel->number = ++engine->numbers;
	tunnel->agent = agent;
	tunnel->item = (struct poll_item){-1, carrier_ready};
	tunnel->task.run = carrier_run;
	tunnel->ack_due_us = UINT64_MAX;
	list_init(&tunnel->task.node);
	list_init(&tunnel->ends);
	list_init(&tunnel->waiting);
	list_init(&tunnel->exposures);
	mux_init(&tunnel->mux, !agent, tunnel_emit, tunnel);
	list_append(&engine->tunnels, &tunnel->node);
	return tunnel;
}

static void close_servers(struct tunnel *tunnel)
{
	struct list *node, *next;

	for (node = tunnel->engine->servers.next; node != &tunnel->engine->servers; node = next) {
		struct server *server = list_entry(node, struct server, node);

		next = node->next;
		if (server->tunnel == tunnel)
			server_close(server);
	}
	for (node = tunnel->engine->redirects.next; node != &tunnel->engine->redirects; node = next) {
		struct udp_redirect *redirect = list_entry(node, struct udp_redirect, node);

		next = node->next;
		if (redirect->tunnel == tunnel)
			udp_redirect_close(redirect);
	}
	for (node = tunnel->engine->holds.next; node != &tunnel->engine->holds; node = next) {
		struct hold *hold = list_entry(node, struct hold, node);

		next = node->next;
		if (hold->tunnel == tunnel)
			hold_close(hold);
	}
}

void tunnel_close(struct tunnel *tunnel)
{
	close_servers(tunnel);
	join_leave(tunnel);
	reset_ends(tunnel);
	if (tunnel->carrier != NULL && !tunnel->broken) {
		mux_goaway(&tunnel->mux, 0);
		carrier_flush(tunnel);
	}
	carrier_drop(tunnel);
	mux_clear(&tunnel->mux);
	outbox_clear(&tunnel->out, &tunnel->engine->pool);
	free(tunnel->input);
	list_remove(&tunnel->node);
	engine_bury(tunnel->engine, &tunnel->grave);
}

/* A few bytes into the empty buffer of a new connection: all or nothing. */
static int greet(struct carrier *carrier, const uint8_t *greeting, size_t len)
{
	struct iovec vector = {(void *)greeting, len};

	if (len == 0 || carrier->write(carrier, &vector, 1) == (ssize_t)len)
		return 0;
	return -ECONNRESET;
}

int tunnel_attach(struct tunnel *tunnel, struct carrier *carrier, uint64_t peer_received,
		  const uint8_t *greeting, size_t len)
{
	int lowat = NOTSENT_BYTES;
	int rc;

	if (tunnel->broken)
		return -EPIPE;
	if (tunnel->carrier != NULL)
		return -EBUSY;
	rc = socket_prepare(carrier->fd);
	if (rc == 0)
		rc = outbox_rewind(&tunnel->out, &tunnel->engine->pool, peer_received);
	if (rc == 0)
		rc = greet(carrier, greeting, len);
	if (rc != 0)
		return rc;
	(void)setsockopt(carrier->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
	tunnel->item.fd = carrier->fd;
	rc = poller_add(tunnel->engine->poller, &tunnel->item);
	if (rc != 0) {
		tunnel->item.fd = -1;
		return rc;
	}
	tunnel->carrier = carrier;
	tunnel->readable = true; /* it may hold bytes that its socket no longer shows */
	engine_task(tunnel->engine, &tunnel->task);
	tunnel->heard_us = clock_us();
	tunnel->ping_due_us = 0;
	engine_wake(tunnel->engine);
	return 0;
}

int tunnel_attach_socket(struct tunnel *tunnel, int fd, uint64_t peer_received,
			 const uint8_t *greeting, size_t len)
{
	struct carrier *carrier = carrier_of_socket(fd);
	int rc = carrier == NULL ? -ENOMEM
				 : tunnel_attach(tunnel, carrier, peer_received, greeting, len);

	if (rc != 0)
		free(carrier); /* without its socket */
	else
		socket_unpaced(fd);
	return rc;
}

uint64_t tunnel_detach(struct tunnel *tunnel)
{
	carrier_drop(tunnel);
	return tunnel->received;
}
