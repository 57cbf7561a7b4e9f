#include "udp_outlet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nameserver.h"
#include "udp_names.h"

/* The name server has a socket of its own, connected to it: so its answers are known from others. */
enum door_kind { DOOR_IPV4, DOOR_IPV6, DOOR_NAMESERVER, DOORS };

struct door {
	struct poll_item item;
	struct task task;
	struct udp_outlet *outlet;
	bool readable;
};

struct udp_outlet {
	struct grave grave; /* first */
	struct udp_half half;
	struct engine *engine;
	struct door doors[DOORS];
	struct udp_names names;
};

static void outlet_close(struct udp_half *half)
{
	struct udp_outlet *outlet = list_entry(half, struct udp_outlet, half);

	for (int i = 0; i < DOORS; i++) {
		if (outlet->doors[i].item.fd != -1)
			close(outlet->doors[i].item.fd);
		outlet->doors[i].item.fd = -1;
		list_remove(&outlet->doors[i].task.node);
	}
	udp_names_close(&outlet->names);
	engine_bury(outlet->engine, &outlet->grave);
}

/* The header goes into the room before the payload. */
static void pass_on(struct door *door, struct udp_slot *slot, const union address *from, size_t len)
{
	static const struct socks5_addr nameserver = {
		.atyp = SOCKS5_IPV4, .host_len = 4, .port = NAMESERVER_PORT};
	struct udp_outlet *outlet = door->outlet;
	uint8_t header[UDP_HEAD_ROOM];
	struct socks5_addr source;
	ssize_t size;

	if (door == &outlet->doors[DOOR_NAMESERVER])
		source = nameserver;
	else
		address_to_socks(&source, from);
	size = socks5_make_datagram(header, sizeof header, &source);
	memcpy(slot->data - size, header, (size_t)size);
	outlet->half.other->send(outlet->half.other, slot->data - size, (size_t)size + len);
}

static void door_run(struct task *task)
{
	struct door *door = list_entry(task, struct door, task);
	struct engine *engine = door->outlet->engine;
	struct udp_batch *batch = udp_batch(engine);

	for (int i = 0; batch != NULL && i < UDP_BATCHES_A_TURN && door->readable; i++) {
		int n = udp_receive(batch, door->item.fd, &door->readable);

		for (int k = 0; k < n && door->item.fd != -1; k++)
			pass_on(door, &batch->slots[k], &batch->from[k], batch->len[k]);
		if (door->item.fd == -1)
			return;
	}
	if (door->readable)
		engine_task(engine, task);
}

static void door_ready(struct poll_item *item, unsigned events)
{
	struct door *door = list_entry(item, struct door, item);

	if ((events & POLL_READ) == 0)
		return;
	door->readable = true;
	engine_task(door->outlet->engine, &door->task);
}

/* 0, or -errno: no such family here, no descriptor left. */
static int door_open(struct door *door, int family, const union address *peer)
{
	int fd, rc;

	if (door->item.fd != -1)
		return 0;
	fd = udp_socket(family, NULL);
	if (fd < 0)
		return fd;
	rc = peer != NULL && connect(fd, &peer->any, address_len(peer)) == -1 ? -errno : 0;
	door->item.fd = fd;
	if (rc == 0)
		rc = poller_add(door->outlet->engine->poller, &door->item);
	if (rc != 0) {
		close(fd);
		door->item.fd = -1;
	}
	return rc;
}

static int send_to(struct udp_outlet *outlet, const union address *to, const uint8_t *data, size_t len)
{
	struct door *door = &outlet->doors[to->any.sa_family == AF_INET ? DOOR_IPV4 : DOOR_IPV6];
	int rc = door_open(door, to->any.sa_family, NULL);

	return rc == 0 ? udp_send(door->item.fd, to, data, len) : rc;
}

static int ask_nameserver(struct udp_outlet *outlet, const uint8_t *data, size_t len)
{
	struct door *door = &outlet->doors[DOOR_NAMESERVER];
	union address server;
	int rc = 0;

	if (door->item.fd == -1) {
		nameserver_find(&server);
		rc = door_open(door, server.any.sa_family, &server);
	}
	return rc == 0 ? udp_send(door->item.fd, NULL, data, len) : rc;
}

static void found(struct udp_names *names, const struct udp_name *name, const uint8_t *message,
		  size_t len)
{
	struct udp_outlet *outlet = list_entry(names, struct udp_outlet, names);
	struct socks5_addr to;
	size_t header = (size_t)socks5_take_datagram(message, len, &to);
	int rc = -1;

	/* The first address to which there is a way. */
	for (int i = 0; rc != 0 && i < name->n_addresses; i++) {
		union address address = name->addresses[i];

		address_set_port(&address, to.port);
		rc = send_to(outlet, &address, message + header, len - header);
	}
	udp_count(outlet->engine, rc == 0);
}

static void outlet_send(struct udp_half *half, const uint8_t *message, size_t len)
{
	struct udp_outlet *outlet = list_entry(half, struct udp_outlet, half);
	struct socks5_addr to;
	ssize_t header = socks5_take_datagram(message, len, &to);
	union address address;
	int rc;

	if (header > 0 && to.atyp == SOCKS5_DOMAIN) {
		udp_names_send(&outlet->names, &to, message, len);
		return;
	}
	if (header < 0) {
		rc = (int)header;
	} else if (nameserver_meant(&to)) {
		rc = ask_nameserver(outlet, message + header, len - (size_t)header);
	} else {
		address_from_socks(&address, &to);
		rc = send_to(outlet, &address, message + header, len - (size_t)header);
	}
	udp_count(outlet->engine, rc == 0);
}

struct udp_half *udp_outlet_open(struct engine *engine)
{
	struct udp_outlet *outlet = calloc(1, sizeof *outlet);

	if (outlet == NULL)
		return NULL;
	outlet->engine = engine;
	outlet->half.send = outlet_send;
	outlet->half.close = outlet_close;
	outlet->names.found = found;
	udp_names_open(&outlet->names, engine);
	for (int i = 0; i < DOORS; i++) {
		outlet->doors[i].item = (struct poll_item){-1, door_ready};
		outlet->doors[i].task.run = door_run;
		outlet->doors[i].outlet = outlet;
		list_init(&outlet->doors[i].task.node);
	}
	return &outlet->half;
}
