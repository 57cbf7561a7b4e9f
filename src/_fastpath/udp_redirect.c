#include "udp_redirect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "packet.h"
#include "platform.h"
#include "tunnel.h"
#include "udp_stream.h"

enum { NAME_SERVER = 53, DATAGRAMS_A_TURN = UDP_BATCH * UDP_BATCHES_A_TURN };

struct flow {
	struct grave grave; /* first */
	struct list node;
	struct timer timer;
	struct udp_half half;
	struct engine *engine;
	int raw; /* the redirect's */
	union address client;
	bool names_only; /* nothing but questions to name servers so far */
	unsigned unanswered;
	int sender; /* bound to `source`, or -1 */
	union address source;
};

#ifdef __linux__

static void flow_close(struct udp_half *half)
{
	struct flow *flow = list_entry(half, struct flow, half);

	if (flow->sender != -1)
		close(flow->sender);
	list_remove(&flow->node);
	list_remove(&flow->timer.node);
	engine_bury(flow->engine, &flow->grave);
}

static void flow_expired(struct timer *timer)
{
	udp_close(&list_entry(timer, struct flow, timer)->half);
}

/* A socket that sends as `source`, which is an address of somebody else; or -errno. */
static int foreign_socket(const union address *source)
{
	int one = 1, rc;
	bool v4 = source->any.sa_family == AF_INET;
	int fd = udp_socket(source->any.sa_family, NULL);

	if (fd < 0)
		return fd;
	rc = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (rc == 0)
		rc = v4 ? setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof one)
			: setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &one, sizeof one);
	if (rc == 0)
		rc = bind(fd, &source->any, address_len(source));
	if (rc == -1) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

static bool same_place(const union address *a, const union address *b)
{
	return address_same_host(a, b) && address_port(a) == address_port(b);
}

/* From a socket that is bound to the source. */
static int send_as(struct flow *flow, const union address *source, const uint8_t *data, size_t len)
{
	if (flow->sender != -1 && !same_place(source, &flow->source)) {
		close(flow->sender);
		flow->sender = -1;
	}
	if (flow->sender == -1) {
		int fd = foreign_socket(source);

		if (fd < 0)
			return fd;
		flow->sender = fd;
		flow->source = *source;
	}
	return udp_send(flow->sender, &flow->client, data, len);
}

static int send_raw(struct flow *flow, const union address *source, const uint8_t *data, size_t len)
{
	uint8_t head[PACKET_HEAD_MAX];
	union address to = flow->client;
	struct iovec parts[] = {{head, 0}, {(void *)data, len}};
	struct msghdr msg = {.msg_name = &to, .msg_namelen = address_len(&to), .msg_iov = parts, .msg_iovlen = 2};

	if (source->any.sa_family != to.any.sa_family)
		return -EAFNOSUPPORT;
	parts[0].iov_len = packet_make_datagram(head, source, &to, data, len);
	address_set_port(&to, 0); /* raw(7): no port */
	return sendmsg(flow->raw, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == -1 ? -errno : 0;
}

/* To the program, as if it came from where the answer was made. */
static void flow_send(struct udp_half *half, const uint8_t *message, size_t len)
{
	struct flow *flow = list_entry(half, struct flow, half);
	struct socks5_addr from;
	ssize_t header = socks5_take_datagram(message, len, &from);
	union address source;
	int rc;

	if (header <= 0 || from.atyp == SOCKS5_DOMAIN) {
		udp_count(flow->engine, false);
		return;
	}
	address_from_socks(&source, &from);
	message += header;
	len -= (size_t)header;
	rc = flow->raw != -1 ? send_raw(flow, &source, message, len) : send_as(flow, &source, message, len);
	udp_count(flow->engine, rc == 0);
	if (flow->names_only && (flow->unanswered == 0 || --flow->unanswered == 0))
		udp_close(half);
	else
		engine_timer(flow->engine, &flow->timer, TIMER_DATAGRAMS);
}

static struct flow *flow_of(struct udp_redirect *redirect, const union address *client)
{
	struct list *bucket = &redirect->flows[address_port(client) % FLOW_BUCKETS];
	struct udp_half *stream;
	struct flow *flow;

	for (struct list *n = bucket->next; n != bucket; n = n->next) {
		flow = list_entry(n, struct flow, node);
		if (same_place(&flow->client, client))
			return flow;
	}
	flow = calloc(1, sizeof *flow);
	stream = flow == NULL ? NULL : udp_stream_open(redirect->tunnel);
	if (stream == NULL) {
		free(flow);
		return NULL;
	}
	flow->engine = redirect->engine;
	flow->raw = redirect->raw;
	flow->client = *client;
	flow->sender = -1;
	flow->names_only = true;
	flow->half.send = flow_send;
	flow->half.close = flow_close;
	flow->timer.expired = flow_expired;
	list_init(&flow->timer.node);
	list_append(bucket, &flow->node);
	udp_join(&flow->half, stream);
	redirect->engine->counters.associations++;
	return flow;
}

static void carry(struct udp_redirect *redirect, const union address *client, const union address *meant,
		  struct udp_slot *slot, size_t len)
{
	struct flow *flow = flow_of(redirect, client);
	uint8_t header[UDP_HEAD_ROOM];
	struct socks5_addr to;
	ssize_t size;

	address_to_socks(&to, meant);
	size = socks5_make_datagram(header, sizeof header, &to);
	if (flow == NULL || size < 0) {
		udp_count(redirect->engine, false);
		return;
	}
	memcpy(slot->data - size, header, (size_t)size);
	flow->names_only = flow->names_only && to.port == NAME_SERVER;
	flow->unanswered++;
	engine_timer(redirect->engine, &flow->timer, TIMER_DATAGRAMS);
	flow->half.other->send(flow->half.other, slot->data - size, (size_t)size + len);
}

/* Where the program sent it to: the kernel says so beside the datagram.  False: it does not. */
static bool meant_address(struct msghdr *msg, union address *meant)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		memset(meant, 0, sizeof *meant);
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_ORIGDSTADDR) {
			memcpy(&meant->v4, CMSG_DATA(c), sizeof meant->v4);
			return true;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_ORIGDSTADDR) {
			memcpy(&meant->v6, CMSG_DATA(c), sizeof meant->v6);
			return true;
		}
	}
	return false;
}

/* One datagram; false: there is none. */
static bool receive(struct udp_redirect *redirect, struct udp_slot *slot)
{
	union address client, meant;
	_Alignas(struct cmsghdr) uint8_t control[256];
	struct iovec vector = {slot->data, UDP_PAYLOAD_MAX};
	struct msghdr msg = {
		.msg_name = &client, .msg_namelen = sizeof client, .msg_iov = &vector, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof control,
	};
	ssize_t n = recvmsg(redirect->item.fd, &msg, MSG_DONTWAIT);

	if (n == -1)
		return errno == EINTR;
	if (meant_address(&msg, &meant))
		carry(redirect, &client, &meant, slot, (size_t)n);
	else
		udp_count(redirect->engine, false);
	return true;
}

static void redirect_run(struct task *task)
{
	struct udp_redirect *redirect = list_entry(task, struct udp_redirect, task);
	struct udp_batch *batch = udp_batch(redirect->engine);

	for (int i = 0; batch != NULL && i < DATAGRAMS_A_TURN && redirect->readable; i++)
		redirect->readable = receive(redirect, &batch->slots[0]);
	if (redirect->readable)
		engine_task(redirect->engine, task);
}

/* An error: 0 or -errno. */
static int ask_for_destinations(int fd)
{
	union address bound;
	socklen_t len = sizeof bound;
	int one = 1, rc;

	if (getsockname(fd, &bound.any, &len) == -1)
		return -errno;
	rc = bound.any.sa_family == AF_INET
		     ? setsockopt(fd, IPPROTO_IP, IP_RECVORIGDSTADDR, &one, sizeof one)
		     : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, &one, sizeof one);
	return rc == -1 ? -errno : 0;
}

#else

static void redirect_run(struct task *task)
{
	(void)task;
}

static int ask_for_destinations(int fd)
{
	(void)fd;
	return -ENOTSUP;
}

#endif

static void redirect_ready(struct poll_item *item, unsigned events)
{
	struct udp_redirect *redirect = list_entry(item, struct udp_redirect, item);

	if ((events & POLL_READ) == 0)
		return;
	redirect->readable = true;
	engine_task(redirect->engine, &redirect->task);
}

struct udp_redirect *udp_redirect_open(struct engine *engine, int fd, int raw, struct tunnel *tunnel)
{
	struct udp_redirect *redirect = calloc(1, sizeof *redirect);
	int rc;

	if (redirect == NULL)
		return NULL;
	redirect->engine = engine;
	redirect->tunnel = tunnel;
	redirect->number = ++engine->numbers;
	redirect->task.run = redirect_run;
	redirect->item = (struct poll_item){fd, redirect_ready};
	redirect->raw = raw;
	list_init(&redirect->task.node);
	for (size_t i = 0; i < FLOW_BUCKETS; i++)
		list_init(&redirect->flows[i]);
	rc = ask_for_destinations(fd);
	if (rc == 0)
		rc = poller_add(engine->poller, &redirect->item);
	if (rc != 0) {
		free(redirect);
		errno = -rc;
		return NULL;
	}
	list_append(&engine->redirects, &redirect->node);
	return redirect;
}

void udp_redirect_close(struct udp_redirect *redirect)
{
	for (size_t i = 0; i < FLOW_BUCKETS; i++)
		while (!list_empty(&redirect->flows[i]))
			udp_close(&list_entry(redirect->flows[i].next, struct flow, node)->half);
	close(redirect->item.fd);
	if (redirect->raw != -1)
		close(redirect->raw);
	redirect->item.fd = -1;
	list_remove(&redirect->task.node);
	list_remove(&redirect->node);
	engine_bury(redirect->engine, &redirect->grave);
}
