#include "dial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "exchange.h"
#include "flows.h"
#include "handshake.h"
#include "home.h"
#include "platform.h"
#include "real.h"
#include "shim.h"
#include "waits.h"

static int lowat_of(int fd)
{
	int lowat = 1;
	socklen_t len = sizeof lowat;

	(void)real(getsockopt)(fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, &len);
	return lowat;
}

static void set_lowat(int fd, int lowat)
{
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof lowat);
}

/* Has the peer hung up, with less than what we wait for? */
static bool hung_up(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLRDHUP};

	return real(poll)(&one, 1, 0) == 1;
}

/* How much of `replies` has come, which stays in the socket; -errno. */
static ssize_t peek(int fd, uint8_t *replies, size_t room)
{
	ssize_t n = real(recv)(fd, replies, room, MSG_PEEK | MSG_DONTWAIT);

	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return n;
}

/* RFC 1928: what the answer names is the address that the server has connected from. */
static void keep_local(struct flow *flow, const struct socks5_addr *bound)
{
	struct sockaddr_storage local;
	socklen_t len;

	if (bound->port != 0 && home_sockaddr(bound, flow->target.any.sa_family, &local, &len))
		memcpy(&flow->local, &local, len);
}

/* Look at the replies that have come, and eat what is complete.  The first ones do not stay until
 * the last is there: a recv(2) that has something to give is not interrupted by a signal. */
static int look(int fd, struct flow *flow)
{
	const bool with_password = shim_settings->user_len > 0;
	bool over = hung_up(fd); /* asked first: what comes before the end is then all there */
	uint8_t replies[HANDSHAKE_REPLIES_MAX];
	struct socks5_answer answer;
	ssize_t got = peek(fd, replies, sizeof replies), n = 0;
	size_t need = 0;

	if (!flow->welcomed && got >= 0) {
		n = handshake_take_welcome(replies, (size_t)got, with_password);
		(void)handshake_take(NULL, 0, with_password, &answer, &need);
		if (n > 0) {
			(void)real(recv)(fd, replies, (size_t)n, MSG_DONTWAIT);
			flow->welcomed = true;
			got = peek(fd, replies, sizeof replies);
		}
	}
	if (flow->welcomed && got >= 0)
		n = handshake_take_answer(replies, (size_t)got, &answer, &need);
	if (got < 0 || n < 0)
		return (int)(got < 0 ? got : n);
	if (n > 0) {
		(void)real(recv)(fd, replies, (size_t)n, MSG_DONTWAIT);
		set_lowat(fd, flow->lowat);
		keep_local(flow, &answer.addr);
		return 0;
	}
	if (over)
		return -ECONNRESET;
	set_lowat(fd, (int)need);
	return -EALREADY;
}

int dial_look(int fd)
{
	struct flow flow;
	int rc;

	if (flow_state(fd) == FLOW_NONE || flow_state(fd) == FLOW_UP)
		return 0;
	if (!flow_claim(fd, &flow))
		return flow_state(fd) == FLOW_NONE ? 0 : -EALREADY;
	if (flow.state != FLOW_PENDING) {
		flow_release(fd, &flow);
		return flow.state == FLOW_FAILED ? -flow.error : 0;
	}
	rc = look(fd, &flow);
	if (rc == 0) {
		flow.state = FLOW_UP;
		flow.unannounced = true;
	} else if (rc != -EALREADY) {
		set_lowat(fd, flow.lowat);
		exchange_dissolve(fd);
		flow.state = FLOW_FAILED;
		flow.error = (int16_t)-rc;
	}
	flow_release(fd, &flow);
	if (rc != -EALREADY)
		waits_settled(fd);
	return rc;
}

/* The failure has been told: from now on the socket is one that was never connected. */
static void told(int fd)
{
	struct flow flow;

	if (flow_claim(fd, &flow)) {
		if (flow.state == FLOW_FAILED)
			flow.state = FLOW_NONE;
		flow_release(fd, &flow);
	}
}

static bool has_timeout(int fd)
{
	static const int options[] = {SO_SNDTIMEO, SO_RCVTIMEO};

	for (int i = 0; i < 2; i++) {
		struct timeval limit = {0, 0};
		socklen_t len = sizeof limit;

		(void)real(getsockopt)(fd, SOL_SOCKET, options[i], &limit, &len);
		if (limit.tv_sec != 0 || limit.tv_usec != 0)
			return true;
	}
	return false;
}

/* SO_SNDTIMEO is connect(2)'s timeout (socket(7)); EXCHANGE_FOREVER without one. */
static int64_t connect_deadline(int fd)
{
	struct timeval limit = {0, 0};
	socklen_t len = sizeof limit;

	(void)real(getsockopt)(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &len);
	if (limit.tv_sec == 0 && limit.tv_usec == 0)
		return EXCHANGE_FOREVER;
	return exchange_deadline((int64_t)limit.tv_sec * 1000 + limit.tv_usec / 1000 + 1);
}

/* Sleep until one more look is worth it: 0, -EINTR or -EINPROGRESS (SO_SNDTIMEO is over). */
static int wait_for_reply(int fd, int64_t deadline, bool blocking)
{
	uint8_t replies[HANDSHAKE_REPLIES_MAX];
	size_t len = (size_t)lowat_of(fd);
	struct flow flow;

	/* A blocking recv(2) is interrupted, or restarted by SA_RESTART, exactly as connect(2) is
	 * (signal(7)); poll(2) would never be restarted. */
	if (blocking && !has_timeout(fd) && flow_read(fd, &flow)) {
		if (!flow.welcomed)
			len = handshake_welcome_len(shim_settings->user_len > 0);
		set_lowat(fd, (int)len); /* less wakes nobody, not even MSG_WAITALL */
		if (real(recv)(fd, replies, len, MSG_PEEK | MSG_WAITALL) == -1 && errno == EINTR)
			return -EINTR;
		return 0;
	}
	return exchange_wait(fd, POLLIN | POLLRDHUP, deadline) == 0 ? 0 : -EINPROGRESS;
}

int dial_settle(int fd, bool wait)
{
	int64_t deadline = wait ? connect_deadline(fd) : 0;
	bool blocking = wait && (real(fcntl)(fd, F_GETFL) & O_NONBLOCK) == 0;
	int rc;

	while ((rc = dial_look(fd)) == -EALREADY && wait) {
		rc = wait_for_reply(fd, deadline, blocking);
		if (rc != 0)
			return rc;
	}
	if (rc != 0 && rc != -EALREADY)
		told(fd);
	return rc;
}

void dial_announced(int fd)
{
	struct flow flow;

	if (flow_claim(fd, &flow)) {
		flow.unannounced = false;
		flow_release(fd, &flow);
	}
}

static void remember(const struct sockaddr *target, struct flow *flow)
{
	memset(flow, 0, sizeof *flow);
	flow->target_len = target->sa_family == AF_INET ? sizeof flow->target.v4
							: sizeof flow->target.v6;
	memcpy(&flow->target, target, flow->target_len);
}

int dial_connect(int fd, const struct sockaddr *target, socklen_t len)
{
	bool blocking = (real(fcntl)(fd, F_GETFL) & O_NONBLOCK) == 0;
	int64_t deadline = blocking ? connect_deadline(fd) : EXCHANGE_FOREVER;
	struct sockaddr_storage server;
	struct socks5_answer answer;
	struct socks5_addr addr;
	struct handshake shake;
	struct flow flow;
	size_t need = 0;
	int rc;

	if (shim_settings == NULL)
		return -ECONNREFUSED;
	(void)home_request(target, &addr);
	rc = handshake_make(shim_settings, SOCKS5_CONNECT, &addr, &shake);
	if (rc == 0)
		rc = exchange_server(fd, target->sa_family, &server, &len);
	if (rc == 0)
		rc = exchange_reach(fd, &server, len, deadline);
	if (rc != 0)
		return rc == -EISCONN || rc == -EALREADY ? rc : (exchange_dissolve(fd), rc);
	remember(target, &flow);
	flow.lowat = lowat_of(fd);
	flow.state = FLOW_PENDING;
	if (shim_settings->pipeline && flow_put(fd, &flow)) {
		/* The first look that is worth it. */
		(void)handshake_take(NULL, 0, shim_settings->user_len > 0, &answer, &need);
		set_lowat(fd, (int)need);
		rc = exchange_send(fd, shake.bytes, shake.request_end, deadline);
		if (rc == 0 && !blocking)
			return -EINPROGRESS;
		if (rc == 0) {
			rc = dial_settle(fd, true);
			if (rc == 0)
				dial_announced(fd);
			return rc;
		}
		flow_drop(fd);
		set_lowat(fd, flow.lowat);
		exchange_dissolve(fd);
		return rc;
	}
	rc = exchange_converse(fd, &shake, &answer, deadline);
	if (rc != 0) {
		exchange_dissolve(fd);
		return rc;
	}
	flow.state = FLOW_UP;
	keep_local(&flow, &answer.addr);
	(void)flow_put(fd, &flow);
	return 0;
}
