#include "udp_inlet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void inlet_close(struct udp_half *half)
{
	struct udp_inlet *inlet = list_entry(half, struct udp_inlet, half);

	close(inlet->control.fd);
	close(inlet->item.fd);
	inlet->control.fd = inlet->item.fd = -1;
	list_remove(&inlet->node);
	list_remove(&inlet->task.node);
	engine_bury(inlet->engine, &inlet->grave);
}

/* To the client. */
static void inlet_send(struct udp_half *half, const uint8_t *message, size_t len)
{
	struct udp_inlet *inlet = list_entry(half, struct udp_inlet, half);
	const size_t head = inlet->head_len;
	const bool wanted = head == 0 || (len >= head && memcmp(message, inlet->head, head) == 0);

	udp_count(inlet->engine, wanted && inlet->known &&
					 udp_send(inlet->item.fd, NULL, message + head, len - head) == 0);
}

/* Is this the client?  The first who sends something of sense from its host is, if its request named no
 * port; from then on the kernel drops everybody else's. */
static bool inlet_knows(struct udp_inlet *inlet, const union address *from)
{
	if (!address_same_host(&inlet->client, from))
		return false;
	if (inlet->known)
		return address_port(&inlet->client) == address_port(from);
	inlet->client = *from;
	inlet->known = connect(inlet->item.fd, &from->any, address_len(from)) == 0;
	return inlet->known;
}

static void inlet_run(struct task *task)
{
	struct udp_inlet *inlet = list_entry(task, struct udp_inlet, task);
	struct udp_batch *batch = udp_batch(inlet->engine);

	for (int i = 0; batch != NULL && i < UDP_BATCHES_A_TURN && inlet->readable; i++) {
		int n = udp_receive(batch, inlet->item.fd, &inlet->readable);

		for (int k = 0; k < n && inlet->item.fd != -1; k++) {
			uint8_t *message = batch->slots[k].data - inlet->head_len; /* into the room before */
			const size_t len = batch->len[k] + inlet->head_len;
			struct socks5_addr to;

			memcpy(message, inlet->head, inlet->head_len);
			if (socks5_take_datagram(message, len, &to) > 0 &&
			    inlet_knows(inlet, &batch->from[k]))
				inlet->half.other->send(inlet->half.other, message, len);
			else
				udp_count(inlet->engine, false);
		}
		if (inlet->item.fd == -1)
			return;
	}
	if (inlet->readable)
		engine_task(inlet->engine, task);
}

static void inlet_ready(struct poll_item *item, unsigned events)
{
	struct udp_inlet *inlet = list_entry(item, struct udp_inlet, item);

	if ((events & POLL_READ) == 0)
		return;
	inlet->readable = true;
	engine_task(inlet->engine, &inlet->task);
}

/* What a client says on this connection has no meaning: only its end has. */
static void control_ready(struct poll_item *item, unsigned events)
{
	if ((events & (POLL_HANGUP | POLL_BROKEN)) != 0)
		udp_close(&list_entry(item, struct udp_inlet, control)->half);
}

/* A socket beside the one that the client is connected to, for this client alone if it named a port. */
static int inlet_bind(struct udp_inlet *inlet, int control, uint16_t port)
{
	socklen_t len = sizeof inlet->bound;

	if (getsockname(control, &inlet->bound.any, &len) == -1)
		return -errno;
	len = sizeof inlet->client;
	if (getpeername(control, &inlet->client.any, &len) == -1)
		return -errno;
	address_set_port(&inlet->bound, 0);
	inlet->item.fd = udp_socket(inlet->bound.any.sa_family, &inlet->bound);
	if (inlet->item.fd < 0)
		return inlet->item.fd;
	if (port == 0)
		return 0;
	address_set_port(&inlet->client, port);
	inlet->known = true;
	if (connect(inlet->item.fd, &inlet->client.any, address_len(&inlet->client)) == -1)
		return -errno;
	return 0;
}

/* 0 or -errno: what comes from a name could not be told from what comes from others. */
static int inlet_aim(struct udp_inlet *inlet, const struct socks5_request *request)
{
	if (request->cmd != SOCKS5_UDP_CONNECT)
		return 0;
	if (request->addr.atyp == SOCKS5_DOMAIN)
		return -EAFNOSUPPORT;
	inlet->head_len = (size_t)socks5_make_datagram(inlet->head, sizeof inlet->head, &request->addr);
	return 0;
}

struct udp_inlet *udp_inlet_open(struct engine *engine, int control,
				 const struct socks5_request *request)
{
	struct udp_inlet *inlet = calloc(1, sizeof *inlet);
	int rc;

	if (inlet == NULL)
		return NULL;
	inlet->engine = engine;
	inlet->half.send = inlet_send;
	inlet->half.close = inlet_close;
	inlet->task.run = inlet_run;
	inlet->control = (struct poll_item){control, control_ready};
	inlet->item = (struct poll_item){-1, inlet_ready};
	list_init(&inlet->task.node);
	rc = inlet_aim(inlet, request);
	if (rc == 0)
		rc = inlet_bind(inlet, control, inlet->head_len > 0 ? 0 : request->addr.port);
	if (rc == 0)
		rc = poller_add(engine->poller, &inlet->item);
	if (rc == 0)
		rc = poller_replace(engine->poller, &inlet->control);
	if (rc != 0) {
		if (inlet->item.fd >= 0)
			close(inlet->item.fd);
		free(inlet);
		errno = -rc;
		return NULL;
	}
	list_append(&engine->inlets, &inlet->node);
	engine->counters.associations++;
	return inlet;
}
