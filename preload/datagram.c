#include "datagram.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "exchange.h"
#include "facts.h"
#include "home.h"
#include "platform.h"
#include "real.h"
#include "shim.h"

/* RSV, FRAG, ATYP, address, port; with IPv6 the longer. */
enum { SHORT_HEAD = 10, LONG_HEAD = 22, MORE_HEAD = LONG_HEAD - SHORT_HEAD };
/* The association is made in connect(2) or in the first send: the server is on this machine, the
 * pod behind a tunnel.  Its number is above those that select(2) and closing loops reach. */
enum { ASSOCIATE_MS = 10000, CONTROL_LEAST = 900, PARTS_ON_STACK = 16 };

static bool is_udp(int fd)
{
	int before = errno;
	bool yes = facts_protocol(fd) == IPPROTO_UDP;

	errno = before;
	return yes;
}

bool datagram_wants(int fd, const struct sockaddr *to, socklen_t len)
{
	if (datagram_relayed(fd))
		return true;
	if (to == NULL || len < sizeof to->sa_family ||
	    (to->sa_family != AF_INET && to->sa_family != AF_INET6))
		return false;
	return (!home_is(to, len) || home_refuses(SOCK_DGRAM, to)) && is_udp(fd);
}

static void keep_address(union flow_address *out, const struct sockaddr_storage *in, socklen_t len)
{
	memset(out, 0, sizeof *out);
	memcpy(out, in, len < sizeof *out ? len : sizeof *out);
}

static socklen_t address_len(const union flow_address *address)
{
	return address->any.sa_family == AF_INET ? sizeof address->v4 : sizeof address->v6;
}

/* The server's words, as an address that this socket can send to.  0 or -errno. */
static int relay_from(int fd, const struct socks5_addr *said, union flow_address *out)
{
	static const uint8_t any[16];
	struct sockaddr_storage address;
	struct socks5_addr relay = *said, server;
	int family = facts_family(fd);
	socklen_t len;
	int rc = exchange_server(fd, family, &address, &len);

	if (rc != 0)
		return rc;
	home_addr((struct sockaddr *)&address, &server);
	if (relay.atyp == SOCKS5_DOMAIN || memcmp(relay.host, any, relay.host_len) == 0) {
		server.port = relay.port;
		relay = server;
	}
	if (!home_sockaddr(&relay, family, &address, &len))
		return -EAFNOSUPPORT;
	keep_address(out, &address, len);
	return 0;
}

/* A new association, whose control connection is in flow->other: 0 or -errno.  `target`: the only
 * one; NULL: any. */
static int associate(int fd, struct flow *flow, const struct socks5_addr *target)
{
	const struct socks5_addr anywhere = {.atyp = SOCKS5_IPV4, .host_len = 4};
	struct flow control = {.state = FLOW_CONTROL, .other = fd};
	struct socks5_answer answer;
	int rc, made = exchange_open(target == NULL ? SOCKS5_UDP_ASSOCIATE : SOCKS5_UDP_CONNECT,
				     target == NULL ? &anywhere : target, &answer,
				     exchange_deadline(ASSOCIATE_MS));

	if (made < 0)
		return -ENETUNREACH; /* what programs take for "no way there" and go on from */
	made = exchange_aside(made, CONTROL_LEAST);
	rc = relay_from(fd, &answer.addr, &flow->relay);
	if (rc == 0 && !flow_put(made, &control))
		rc = -ENOBUFS;
	if (rc != 0) {
		real(close)(made);
		return rc;
	}
	flow->state = FLOW_RELAYED;
	flow->other = made;
	flow->bare = target != NULL;
	return 0;
}

/* The server ends an association by ending its connection. */
static bool alive(const struct flow *flow)
{
	char byte;

	return flow_state(flow->other) == FLOW_CONTROL &&
	       (real(recv)(flow->other, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0 || errno == EAGAIN);
}

static void end_control(int control)
{
	if (flow_state(control) != FLOW_CONTROL)
		return;
	flow_drop(control);
	real(close)(control);
}

/* The socket's entry, with an association that lasts: for `target` alone, or NULL for any.  0 or
 * -errno. */
static int prepare(int fd, struct flow *flow, const struct socks5_addr *target)
{
	int rc;

	if (!flow_read(fd, flow))
		memset(flow, 0, sizeof *flow);
	if (flow->state == FLOW_RELAYED) {
		if (target == NULL && !flow->bare && alive(flow))
			return 0;
		datagram_close(fd);
	}
	rc = associate(fd, flow, target);
	if (rc != 0)
		return rc;
	if (flow_put(fd, flow))
		return 0;
	end_control(flow->other);
	return -ENOBUFS;
}

static bool aim(struct flow *flow, const struct sockaddr *target, struct socks5_addr *request)
{
	bool nameserver = home_request(target, request);

	flow->nameserver = nameserver;
	flow->target_len =
		target->sa_family == AF_INET ? sizeof flow->target.v4 : sizeof flow->target.v6;
	memset(&flow->target, 0, sizeof flow->target);
	memcpy(&flow->target, target, flow->target_len);
	return nameserver;
}

/* Connects the socket to a relay: for this target alone, without headers, or for any. */
static int join(int fd, const struct sockaddr *target, bool bare)
{
	struct socks5_addr request;
	struct flow flow;
	bool with_heads = flow_read(fd, &flow) && flow.state == FLOW_RELAYED && !flow.bare;
	int rc;

	(void)home_request(target, &request);
	if (bare && request.atyp == SOCKS5_DOMAIN)
		return -EAFNOSUPPORT;
	rc = prepare(fd, &flow, bare ? &request : NULL);
	if (rc != 0)
		return rc;
	if (real(connect)(fd, &flow.relay.any, address_len(&flow.relay)) == -1)
		return -errno;
	/* What another relay has sent, with headers, is not to be taken for a payload. */
	while (bare && with_heads && real(recv)(fd, NULL, 0, MSG_DONTWAIT) != -1)
		;
	(void)aim(&flow, target, &request);
	flow.connected = true;
	return flow_put(fd, &flow) ? 0 : -ENOBUFS;
}

int datagram_connect(int fd, const struct sockaddr *target)
{
	if (shim_settings != NULL && shim_settings->pipeline && join(fd, target, true) == 0)
		return 0;
	return join(fd, target, false);
}

void datagram_disconnect(int fd)
{
	struct flow flow;

	if (!datagram_relayed(fd) || !flow_claim(fd, &flow))
		return;
	flow.connected = flow.nameserver = false;
	flow_release(fd, &flow);
	if (flow.bare) {
		datagram_close(fd);
		flow_drop(fd);
	}
}

/* Room for n parts and `more`; NULL: no memory. */
static struct iovec *parts_make(struct iovec on_stack[PARTS_ON_STACK], size_t n, size_t more)
{
	return n + more <= PARTS_ON_STACK ? on_stack : calloc(n + more, sizeof *on_stack);
}

static void parts_free(struct iovec *parts, const struct iovec *on_stack)
{
	int before = errno;

	if (parts != on_stack)
		free(parts);
	errno = before;
}

/* Generic segmentation would cut the header off all segments but the first; programs that use it
 * go on without it after EIO. */
static bool segments(const struct msghdr *message)
{
	struct msghdr copy = *message;

	for (struct cmsghdr *at = CMSG_FIRSTHDR(&copy); at != NULL; at = CMSG_NXTHDR(&copy, at))
		if (at->cmsg_level == IPPROTO_UDP && at->cmsg_type == UDP_SEGMENT)
			return true;
	return false;
}

static ssize_t send_with(int fd, const struct flow *flow, const struct socks5_addr *to,
			 const struct msghdr *message, int flags)
{
	struct iovec on_stack[PARTS_ON_STACK], *parts;
	union flow_address relay = flow->relay;
	uint8_t head[SOCKS5_DATAGRAM_HEAD_MAX];
	ssize_t head_len = socks5_make_datagram(head, sizeof head, to), n;
	struct msghdr wrapped = {.msg_iovlen = message->msg_iovlen + 1};

	if (flow->bare) {
		wrapped = *message;
		wrapped.msg_name = NULL;
		wrapped.msg_namelen = 0;
		return real(sendmsg)(fd, &wrapped, flags);
	}
	if (head_len < 0 || segments(message)) {
		errno = EIO;
		return -1;
	}
	parts = parts_make(on_stack, (size_t)message->msg_iovlen, 1);
	if (parts == NULL) {
		errno = ENOBUFS;
		return -1;
	}
	parts[0] = (struct iovec){head, (size_t)head_len};
	if (message->msg_iovlen > 0)
		memcpy(parts + 1, message->msg_iov, (size_t)message->msg_iovlen * sizeof *parts);
	wrapped.msg_iov = parts;
	if (!flow->connected) {
		wrapped.msg_name = &relay;
		wrapped.msg_namelen = address_len(&relay);
	}
	n = real(sendmsg)(fd, &wrapped, flags);
	parts_free(parts, on_stack);
	return n == -1 ? -1 : n - head_len;
}

static bool same_end(const struct socks5_addr *a, const struct socks5_addr *b)
{
	return a->atyp == b->atyp && a->port == b->port && memcmp(a->host, b->host, b->host_len) == 0;
}

/* A connected socket's entry, with an association that lasts and reaches `to`.  0 or -errno. */
static int refresh(int fd, struct flow *flow, const struct sockaddr *to)
{
	const union flow_address target = flow->target;
	struct socks5_addr peer, other;
	int rc = 0;

	home_addr(&target.any, &peer);
	if (to != NULL)
		home_addr(to, &other);
	if (flow->bare && to != NULL && !same_end(&other, &peer))
		rc = join(fd, &target.any, false);
	else if (!alive(flow))
		rc = datagram_connect(fd, &target.any);
	return rc == 0 && !flow_read(fd, flow) ? -ENOBUFS : rc;
}

ssize_t datagram_send(int fd, const struct msghdr *message, int flags)
{
	const struct sockaddr *to = message->msg_namelen == 0 ? NULL : message->msg_name;
	struct flow flow = {0};
	const bool connected = flow_read(fd, &flow) && flow.connected;
	struct socks5_addr request;
	int before = errno, rc;

	/* Home, or nowhere: libc's answer is right. */
	if (to == NULL ? !connected : home_is(to, message->msg_namelen)) {
		if (to == NULL || !home_refuses(SOCK_DGRAM, to))
			return real(sendmsg)(fd, message, flags);
		errno = EPERM;
		return -1;
	}
	if (to != NULL && facts_family(fd) != to->sa_family && facts_family(fd) != AF_INET6) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	rc = connected ? refresh(fd, &flow, to) : prepare(fd, &flow, NULL);
	if (rc != 0) {
		errno = -rc;
		return -1;
	}
	if (to == NULL || flow.bare)
		(void)home_request(&flow.target.any, &request);
	else if (flow.connected)
		(void)home_request(to, &request);
	else if (aim(&flow, to, &request))
		(void)flow_put(fd, &flow);
	errno = before;
	return send_with(fd, &flow, &request, message, flags);
}

/* Byte i of what the parts hold, one behind the other. */
struct cursor {
	const struct iovec *part;
	size_t at;
};

static uint8_t *cursor_next(struct cursor *cursor)
{
	while (cursor->at == cursor->part->iov_len) {
		cursor->part++;
		cursor->at = 0;
	}
	return (uint8_t *)cursor->part->iov_base + cursor->at++;
}

/* Takes the rest of a long header out of the payload, which moves up.  `have` bytes are there. */
static void take_more(const struct iovec *parts, size_t have, uint8_t *rest)
{
	struct cursor from = {parts, 0}, to = {parts, 0};

	for (size_t i = 0; i < MORE_HEAD; i++)
		rest[i] = *cursor_next(&from);
	for (size_t i = MORE_HEAD; i < have; i++)
		*cursor_next(&to) = *cursor_next(&from);
}

static size_t room_of(const struct msghdr *message)
{
	size_t room = 0;

	for (size_t i = 0; i < (size_t)message->msg_iovlen; i++)
		room += message->msg_iov[i].iov_len;
	return room;
}

/* Who sent it, as the program knows him.  False: nobody it wants to hear (connect(2)). */
static bool name_sender(int fd, const struct flow *flow, struct socks5_addr *from,
			struct msghdr *message)
{
	static const uint8_t any[4];
	struct sockaddr_storage address;
	struct socks5_addr peer;
	socklen_t len;
	bool nameserver = from->atyp == SOCKS5_IPV4 && from->port == HOME_DNS_PORT &&
			  memcmp(from->host, any, 4) == 0;

	home_addr(&flow->target.any, &peer);
	if (nameserver && flow->nameserver)
		*from = peer;
	if (flow->connected && !same_end(from, &peer))
		return false;
	if (!home_sockaddr(from, facts_family(fd), &address, &len))
		return false;
	if (message->msg_name == NULL)
		return true;
	memcpy(message->msg_name, &address, len < message->msg_namelen ? len : message->msg_namelen);
	message->msg_namelen = len;
	return true;
}

/* What a datagram of `len` bytes, whatever there was room for, is to the program. */
static ssize_t deliver(struct msghdr *message, size_t len, size_t room, int flags)
{
	if (len > room)
		message->msg_flags |= MSG_TRUNC;
	else
		message->msg_flags &= ~MSG_TRUNC;
	return (ssize_t)(len > room && (flags & MSG_TRUNC) == 0 ? room : len);
}

/* One datagram that has a header, into the program's parts with room for the header before them and
 * behind.  Its payload's length, -1 with errno, or -2: it is not for the program. */
static ssize_t receive_one(int fd, const struct flow *flow, struct msghdr *message, int flags)
{
	uint8_t head[LONG_HEAD], tail[MORE_HEAD];
	struct iovec on_stack[PARTS_ON_STACK], *parts;
	size_t n = (size_t)message->msg_iovlen, room = room_of(message), have;
	struct msghdr wrapped = *message;
	struct sockaddr_storage relay;
	struct socks5_addr from;
	ssize_t got;

	parts = parts_make(on_stack, n, 2);
	if (parts == NULL) {
		errno = ENOBUFS;
		return -1;
	}
	parts[0] = (struct iovec){head, SHORT_HEAD};
	if (n > 0)
		memcpy(parts + 1, message->msg_iov, n * sizeof *parts);
	parts[n + 1] = (struct iovec){tail, sizeof tail};
	wrapped.msg_iov = parts;
	wrapped.msg_iovlen = (__typeof__(wrapped.msg_iovlen))(n + 2);
	wrapped.msg_name = &relay;
	wrapped.msg_namelen = sizeof relay;
	got = real(recvmsg)(fd, &wrapped, flags | MSG_TRUNC);
	have = got < SHORT_HEAD ? 0 : (size_t)got - SHORT_HEAD;
	if (have > room + MORE_HEAD)
		have = room + MORE_HEAD;
	if (got >= LONG_HEAD && head[3] == SOCKS5_IPV6) {
		take_more(parts + 1, have, head + SHORT_HEAD);
		got -= MORE_HEAD;
	}
	parts_free(parts, on_stack);
	if (got == -1)
		return -1;
	if (got < SHORT_HEAD || socks5_take_datagram(head, sizeof head, &from) < 0 ||
	    !name_sender(fd, flow, &from, message))
		return -2;
	message->msg_flags = wrapped.msg_flags;
	message->msg_controllen = wrapped.msg_controllen;
	return deliver(message, (size_t)got - SHORT_HEAD, room, flags);
}

/* Does the next datagram come from the relay?  1, 0 (from somebody at home), or -1 with errno. */
static int next_from_relay(int fd, const struct flow *flow, int flags)
{
	struct sockaddr_storage from = {0};
	struct msghdr look = {.msg_name = &from, .msg_namelen = sizeof from};
	struct socks5_addr sender, relay;

	if (flow->connected)
		return 1;
	if (real(recvmsg)(fd, &look, (flags & MSG_DONTWAIT) | MSG_PEEK) == -1)
		return -1;
	if (from.ss_family != AF_INET && from.ss_family != AF_INET6)
		return 0;
	home_addr((const struct sockaddr *)&from, &sender);
	home_addr(&flow->relay.any, &relay);
	return same_end(&sender, &relay);
}

/* Whatever it is, it comes from the target. */
static ssize_t receive_bare(int fd, const struct flow *flow, struct msghdr *message, int flags)
{
	const socklen_t room = message->msg_name == NULL ? 0 : message->msg_namelen;
	const ssize_t n = real(recvmsg)(fd, message, flags);

	if (n != -1 && message->msg_name != NULL) {
		memcpy(message->msg_name, &flow->target, room < flow->target_len ? room : flow->target_len);
		message->msg_namelen = flow->target_len;
	}
	return n;
}

ssize_t datagram_receive(int fd, struct msghdr *message, int flags)
{
	int before = errno;
	struct flow flow;

	while ((flags & MSG_ERRQUEUE) == 0 && flow_read(fd, &flow)) {
		ssize_t n;
		int mine;

		if (flow.bare)
			return receive_bare(fd, &flow, message, flags);
		mine = next_from_relay(fd, &flow, flags);
		if (mine == -1)
			return -1;
		if (mine == 0)
			break;
		n = receive_one(fd, &flow, message, flags);
		if (n == -2 && (flags & MSG_PEEK) != 0)
			(void)real(recv)(fd, NULL, 0, MSG_DONTWAIT);
		if (n >= 0)
			errno = before;
		if (n != -2)
			return n;
	}
	return real(recvmsg)(fd, message, flags);
}

static bool shared(int fd, int control)
{
	struct flow flow;

	for (int at = flow_next(0); at != -1; at = flow_next(at + 1))
		if (at != fd && flow_state(at) == FLOW_RELAYED && flow_read(at, &flow) &&
		    flow.other == control)
			return true;
	return false;
}

void datagram_close(int fd)
{
	struct flow flow;

	if (flow_read(fd, &flow) && flow.state == FLOW_RELAYED && !shared(fd, flow.other))
		end_control(flow.other);
}

void datagram_make_way(int fd)
{
	struct flow control, flow;
	int moved;

	if (flow_state(fd) != FLOW_CONTROL || !flows_ours() || !flow_read(fd, &control))
		return;
	moved = real(fcntl)(fd, F_DUPFD_CLOEXEC, CONTROL_LEAST);
	flow_drop(fd);
	if (moved == -1)
		return; /* the next send makes another association */
	(void)flow_put(moved, &control);
	for (int at = flow_next(0); at != -1; at = flow_next(at + 1)) {
		if (flow_state(at) != FLOW_RELAYED || !flow_claim(at, &flow))
			continue;
		if (flow.other == fd)
			flow.other = moved;
		flow_release(at, &flow);
	}
}
