#include "hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "link.h"
#include "packet.h"
#include "server.h"
#include "tunnel.h"

/* A connection between its first SYN and both its accept and the pod's answer. */
struct held {
	struct grave grave; /* first */
	struct list node;
	struct timer timer;
	struct link_ahead ahead;
	struct hold *hold;
	struct packet_syn syn;
	bool passed;  /* the SYN is out again */
	bool settled; /* the pod has answered */
	bool claimed;
	uint8_t packet[PACKET_SYN_MAX];
};

void hold_close(struct hold *hold)
{
	struct list *lists[HOLD_BUCKETS + 1];

	for (size_t i = 0; i < HOLD_BUCKETS; i++)
		lists[i] = &hold->held[i];
	lists[HOLD_BUCKETS] = &hold->claimed;
	for (size_t i = 0; i <= HOLD_BUCKETS; i++) {
		struct list *node;

		while ((node = list_shift(lists[i])) != NULL) {
			struct held *held = list_entry(node, struct held, node);

			list_remove(&held->timer.node);
			if (held->claimed)
				link_forget(&held->ahead);
			else
				link_abandon(&held->ahead);
			engine_bury(hold->engine, &held->grave);
		}
	}
	close(hold->item.fd);
	if (hold->raw4 != -1)
		close(hold->raw4);
	if (hold->raw6 != -1)
		close(hold->raw6);
	hold->item.fd = -1;
	list_remove(&hold->task.node);
	list_remove(&hold->node);
	engine_bury(hold->engine, &hold->grave);
}

#ifdef __linux__

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <netinet/tcp.h>

enum { MESSAGE_MAX = 8192, PACKETS_A_TURN = 64 };

static bool same_place(const union address *a, const union address *b)
{
	return address_same_host(a, b) && address_port(a) == address_port(b);
}

static struct hold_trust *trust_of(struct hold *hold, const union address *to)
{
	bool v4 = to->any.sa_family == AF_INET;
	const uint8_t *tail = v4 ? (const uint8_t *)&to->v4.sin_addr : to->v6.sin6_addr.s6_addr + 12;
	unsigned hash = address_port(to);

	for (size_t i = 0; i < 4; i++)
		hash = hash * 31 + tail[i];
	return &hold->trusted[hash % HOLD_TRUSTED];
}

static bool is_trusted(struct hold *hold, const union address *to)
{
	const struct hold_trust *trust = trust_of(hold, to);

	return trust->until_us > hold->engine->now_us && same_place(&trust->to, to);
}

static void trust(struct hold *hold, const union address *to, bool accepts)
{
	struct hold_trust *trust = trust_of(hold, to);

	if (accepts)
		*trust = (struct hold_trust){*to, hold->engine->now_us + HOLD_TRUST_US};
	else if (same_place(&trust->to, to))
		trust->until_us = 0;
}

/* To the kernel, which routes it by its destination; the port is no part of that. */
static void send_packet(struct hold *hold, const union address *to, const uint8_t *packet, size_t len)
{
	union address target = *to;
	int raw = to->any.sa_family == AF_INET ? hold->raw4 : hold->raw6;

	address_set_port(&target, 0);
	if (raw != -1) /* a packet that is lost is asked for again */
		(void)sendto(raw, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL, &target.any, address_len(&target));
}

static void held_end(struct held *held)
{
	list_remove(&held->timer.node);
	list_remove(&held->node);
	engine_bury(held->hold->engine, &held->grave);
}

static void held_expired(struct timer *timer)
{
	struct held *held = list_entry(timer, struct held, timer);

	link_abandon(&held->ahead);
	held_end(held);
}

static void held_pass(struct held *held)
{
	held->passed = true;
	engine_timer(held->hold->engine, &held->timer, TIMER_CLAIM);
	packet_complete_syn(held->packet, &held->syn);
	send_packet(held->hold, &held->syn.to, held->packet, held->syn.len);
}

/* The program's connect fails as it would in the pod. */
static void held_refuse(struct held *held, uint8_t code)
{
	uint8_t answer[PACKET_ANSWER_MAX];
	size_t len;

	switch (code) {
	case SOCKS5_TTL_EXPIRED:
		return; /* as silent as the host: the kernel's own clock runs, and its next SYN asks anew */
	case SOCKS5_REFUSED:
		len = packet_make_reset(answer, &held->syn);
		break;
	case SOCKS5_NET_UNREACHABLE:
	case SOCKS5_BAD_ATYP:
		len = packet_make_unreachable(answer, held->packet, &held->syn, PACKET_NO_NETWORK);
		break;
	case SOCKS5_NOT_ALLOWED:
		len = packet_make_unreachable(answer, held->packet, &held->syn, PACKET_PROHIBITED);
		break;
	default:
		len = packet_make_unreachable(answer, held->packet, &held->syn, PACKET_NO_HOST);
	}
	send_packet(held->hold, &held->syn.from, answer, len);
}

static void held_settled(struct link_ahead *ahead, uint8_t code)
{
	struct held *held = list_entry(ahead, struct held, ahead);
	bool accepts = code == SOCKS5_SUCCEEDED;

	trust(held->hold, &held->syn.to, accepts);
	held->settled = true;
	if (!held->passed && accepts)
		held_pass(held);
	else if (!held->passed)
		held_refuse(held, code);
	if (held->claimed)
		link_forget(ahead);
	if (held->claimed || (!held->passed && !accepts))
		held_end(held);
}

/* NAT may have given the program another port, so it is the number that it counts from which tells. */
static struct held *held_of(struct hold *hold, uint32_t sequence, const union address *meant)
{
	struct list *bucket = &hold->held[sequence % HOLD_BUCKETS];

	for (struct list *n = bucket->next; n != bucket; n = n->next) {
		struct held *held = list_entry(n, struct held, node);

		if (held->syn.sequence == sequence && same_place(&held->syn.to, meant))
			return held;
	}
	return NULL;
}

static void held_open(struct hold *hold, const uint8_t *packet, const struct packet_syn *syn)
{
	struct held *held = calloc(1, sizeof *held);
	struct socks5_addr to;

	if (held == NULL)
		return; /* its SYN comes again */
	held->hold = hold;
	held->syn = *syn;
	held->ahead.settled = held_settled;
	held->timer.expired = held_expired;
	memcpy(held->packet, packet, syn->len);
	list_init(&held->timer.node);
	list_append(&hold->held[syn->sequence % HOLD_BUCKETS], &held->node);
	address_to_socks(&to, &syn->to);
	if (link_open_ahead(hold->tunnel, &to, &held->ahead) != 0) {
		held_refuse(held, SOCKS5_GENERAL_FAILURE);
		held_end(held);
		return;
	}
	hold->engine->counters.held++;
	if (is_trusted(hold, &syn->to))
		held_pass(held);
}

static void take_packet(struct hold *hold, const uint8_t *packet, size_t len)
{
	struct packet_syn syn;
	struct held *held;

	if (packet_take_syn(packet, len, &syn) != 0)
		return;
	held = held_of(hold, syn.sequence, &syn.to);
	if (held == NULL) {
		held_open(hold, packet, &syn);
		return;
	}
	held->syn = syn; /* with a younger timestamp */
	memcpy(held->packet, packet, syn.len);
	if (held->passed) /* and lost, to a full backlog */
		held_pass(held);
}

/* The attributes of one message of nfnetlink_log, of which the packet is one (linux/netlink.h). */
static void take_attributes(struct hold *hold, const uint8_t *at, size_t len)
{
	while (len >= sizeof(struct nlattr)) {
		struct nlattr attribute;
		size_t padded;

		memcpy(&attribute, at, sizeof attribute);
		padded = (size_t)NLA_ALIGN((int)attribute.nla_len);
		if (attribute.nla_len < sizeof attribute || attribute.nla_len > len)
			return;
		if ((attribute.nla_type & NLA_TYPE_MASK) == NFULA_PAYLOAD)
			take_packet(hold, at + sizeof attribute, attribute.nla_len - sizeof attribute);
		if (padded >= len)
			return;
		at += padded;
		len -= padded;
	}
}

static void take_messages(struct hold *hold, const uint8_t *at, size_t len)
{
	const size_t head = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));

	while (len >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr message;
		size_t padded;

		memcpy(&message, at, sizeof message);
		padded = NLMSG_ALIGN((size_t)message.nlmsg_len);
		if (message.nlmsg_len < sizeof message || message.nlmsg_len > len)
			return;
		if (message.nlmsg_type == (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) && message.nlmsg_len > head)
			take_attributes(hold, at + head, message.nlmsg_len - head);
		if (padded >= len)
			return;
		at += padded;
		len -= padded;
	}
}

static void hold_run(struct task *task)
{
	struct hold *hold = list_entry(task, struct hold, task);
	uint8_t message[MESSAGE_MAX];

	for (int i = 0; i < PACKETS_A_TURN && hold->readable; i++) {
		ssize_t n = recv(hold->item.fd, message, sizeof message, MSG_DONTWAIT);

		if (n > 0)
			take_messages(hold, message, (size_t)n);
		else /* ENOBUFS: some were lost, and come again */
			hold->readable = n == -1 && (errno == EINTR || errno == ENOBUFS);
	}
	if (hold->readable)
		engine_task(hold->engine, task);
}

static void hold_ready(struct poll_item *item, unsigned events)
{
	struct hold *hold = list_entry(item, struct hold, item);

	(void)events;
	hold->readable = true;
	engine_task(hold->engine, &hold->task);
}

/* The listeners keep the SYN of what they accept (tcp(7), TCP_SAVE_SYN). */
static void keep_syns(struct tunnel *tunnel)
{
	int one = 1;

	for (struct list *n = tunnel->engine->servers.next; n != &tunnel->engine->servers; n = n->next) {
		struct server *server = list_entry(n, struct server, node);

		if (server->transparent && server->tunnel == tunnel)
			(void)setsockopt(server->acceptor.item.fd, IPPROTO_TCP, TCP_SAVE_SYN, &one, sizeof one);
	}
}

struct hold *hold_open(struct engine *engine, int log, int raw4, int raw6, struct tunnel *tunnel)
{
	struct hold *hold = calloc(1, sizeof *hold);
	int rc;

	if (hold == NULL)
		return NULL;
	hold->engine = engine;
	hold->tunnel = tunnel;
	hold->number = ++engine->numbers;
	hold->item = (struct poll_item){log, hold_ready};
	hold->task.run = hold_run;
	hold->raw4 = raw4;
	hold->raw6 = raw6;
	list_init(&hold->task.node);
	list_init(&hold->claimed);
	for (size_t i = 0; i < HOLD_BUCKETS; i++)
		list_init(&hold->held[i]);
	rc = poller_add(engine->poller, &hold->item);
	if (rc != 0) {
		free(hold);
		errno = -rc;
		return NULL;
	}
	list_append(&engine->holds, &hold->node);
	keep_syns(tunnel);
	return hold;
}

bool hold_claim(struct tunnel *tunnel, int fd, const union address *meant)
{
	struct held *held = NULL;
	struct packet_syn syn;
	uint8_t saved[PACKET_SYN_MAX];
	socklen_t len = sizeof saved;

	if (list_empty(&tunnel->engine->holds) ||
	    getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, saved, &len) == -1 ||
	    packet_take_syn(saved, len, &syn) != 0)
		return false;
	for (struct list *n = tunnel->engine->holds.next; n != &tunnel->engine->holds && held == NULL; n = n->next)
		if (list_entry(n, struct hold, node)->tunnel == tunnel)
			held = held_of(list_entry(n, struct hold, node), syn.sequence, meant);
	if (held == NULL)
		return false;
	held->claimed = true;
	list_remove(&held->timer.node);
	list_remove(&held->node);
	if (!held->settled)
		list_append(&held->hold->claimed, &held->node);
	link_adopt(&held->ahead, fd);
	if (held->settled) {
		link_forget(&held->ahead);
		held_end(held);
	}
	return true;
}

#else

struct hold *hold_open(struct engine *engine, int log, int raw4, int raw6, struct tunnel *tunnel)
{
	(void)engine, (void)log, (void)raw4, (void)raw6, (void)tunnel;
	errno = ENOTSUP;
	return NULL;
}

bool hold_claim(struct tunnel *tunnel, int fd, const union address *meant)
{
	(void)tunnel, (void)fd, (void)meant;
	return false;
}

#endif
