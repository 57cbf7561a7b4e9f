#include "dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "flows.h"
#include "handshake.h"
#include "real.h"
#include "waits.h"

/* resolv.conf(5): 3 servers x 2 attempts x 5 s is what a program waits for a name at most. */
enum { LOOKUP_MS = 30000, FOREVER = -1 };

const struct settings *dial_settings;

static bool is_loopback(const struct in6_addr *addr)
{
	if (IN6_IS_ADDR_V4MAPPED(addr))
		return addr->s6_addr[12] == 127 || memcmp(addr->s6_addr + 12, "\0\0\0\0", 4) == 0;
	return IN6_IS_ADDR_LOOPBACK(addr) || IN6_IS_ADDR_UNSPECIFIED(addr);
}

bool dial_is_home(const struct sockaddr *target, socklen_t len)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (target->sa_family == AF_INET && len >= sizeof v4) {
		memcpy(&v4, target, sizeof v4);
		if (ntohl(v4.sin_addr.s_addr) >> 24 == 127 || v4.sin_addr.s_addr == INADDR_ANY)
			return true;
		return dial_settings != NULL && dial_settings->server.any.sa_family == AF_INET &&
		       dial_settings->server.v4.sin_addr.s_addr == v4.sin_addr.s_addr &&
		       dial_settings->server.v4.sin_port == v4.sin_port;
	}
	if (target->sa_family == AF_INET6 && len >= sizeof v6) {
		memcpy(&v6, target, sizeof v6);
		if (is_loopback(&v6.sin6_addr))
			return true;
		return dial_settings != NULL && dial_settings->server.any.sa_family == AF_INET6 &&
		       IN6_ARE_ADDR_EQUAL(&dial_settings->server.v6.sin6_addr, &v6.sin6_addr) &&
		       dial_settings->server.v6.sin6_port == v6.sin6_port;
	}
	return false;
}

static void addr_from(struct socks5_addr *out, const struct sockaddr *in)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	memset(out, 0, sizeof *out);
	if (in->sa_family == AF_INET) {
		memcpy(&v4, in, sizeof v4);
		out->atyp = SOCKS5_IPV4;
		out->host_len = 4;
		out->port = ntohs(v4.sin_port);
		memcpy(out->host, &v4.sin_addr, 4);
		return;
	}
	memcpy(&v6, in, sizeof v6);
	out->port = ntohs(v6.sin6_port);
	if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
		out->atyp = SOCKS5_IPV4;
		out->host_len = 4;
		memcpy(out->host, v6.sin6_addr.s6_addr + 12, 4);
	} else {
		out->atyp = SOCKS5_IPV6;
		out->host_len = 16;
		memcpy(out->host, &v6.sin6_addr, 16);
	}
}

/* The server's address in the family of the socket; 0 or -errno. */
static int server_for(int fd, int family, struct sockaddr_storage *out, socklen_t *len)
{
	const struct settings *settings = dial_settings;
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	int off = 0;

	memset(out, 0, sizeof *out);
	if (settings->server.any.sa_family == family) {
		*len = family == AF_INET ? sizeof settings->server.v4 : sizeof settings->server.v6;
		memcpy(out, &settings->server, *len);
		return 0;
	}
	if (family == AF_INET)
		return -EAFNOSUPPORT; /* a server on IPv6 and a socket for IPv4 */
	/* Not allowed once the socket is bound: then an IPv6-only socket has no way there. */
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	v6.sin6_port = settings->server.v4.sin_port;
	v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(v6.sin6_addr.s6_addr + 12, &settings->server.v4.sin_addr, 4);
	*len = sizeof v6;
	memcpy(out, &v6, sizeof v6);
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until the socket has `events` or the deadline, whatever signals come: 0 or -ETIMEDOUT. */
static int wait_for(int fd, short events, int64_t deadline)
{
	while (true) {
		struct pollfd one = {.fd = fd, .events = events};
		int64_t left = deadline == FOREVER ? -1 : deadline - now_ms();
		int n;

		if (deadline != FOREVER && left <= 0)
			return -ETIMEDOUT;
		n = real(poll)(&one, 1, left > 60000 ? 60000 : (int)left);
		if (n > 0)
			return 0;
		if (n == -1 && errno != EINTR && errno != EAGAIN)
			return -errno;
	}
}

static int socket_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof error;

	return real(getsockopt)(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1 ? -errno : -error;
}

/* To the server, which is on this machine: over at once, but for its full backlog. */
static int reach(int fd, const struct sockaddr_storage *server, socklen_t len, int64_t deadline)
{
	int rc;

	if (real(connect)(fd, (const struct sockaddr *)server, len) == 0)
		return 0;
	if (errno != EINPROGRESS && errno != EINTR)
		return -errno;
	rc = wait_for(fd, POLLOUT, deadline);
	return rc == 0 ? socket_error(fd) : rc;
}

static int send_all(int fd, const uint8_t *bytes, size_t len, int64_t deadline)
{
	while (len > 0) {
		ssize_t n = real(send)(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			int rc = wait_for(fd, POLLOUT, deadline);
			if (rc != 0)
				return rc;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

static int receive_all(int fd, uint8_t *bytes, size_t len, int64_t deadline)
{
	while (len > 0) {
		ssize_t n = real(recv)(fd, bytes, len, MSG_DONTWAIT);

		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (n == 0) {
			return -ECONNRESET;
		} else if (errno == EAGAIN) {
			int rc = wait_for(fd, POLLIN, deadline);
			if (rc != 0)
				return rc;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* Message by message, or all in one for a server that takes that.  0 or -errno. */
static int converse(int fd, const struct handshake *shake, struct socks5_answer *out,
		    int64_t deadline)
{
	const bool with_password = shake->userpass_end > shake->greeting_end;
	const size_t ends[] = {shake->greeting_end, shake->userpass_end, shake->request_end};
	const bool pipeline = dial_settings->pipeline;
	uint8_t replies[HANDSHAKE_REPLIES_MAX];
	size_t sent = 0, got = 0, need = 0;

	for (int step = pipeline ? 2 : 0; step < 3; step++) {
		int rc = send_all(fd, shake->bytes + sent, ends[step] - sent, deadline);

		if (rc != 0)
			return rc;
		if (step == 1 && !with_password)
			continue;
		sent = ends[step];
		need = step < 2 ? got + 2 : got;
		do {
			ssize_t n;

			rc = receive_all(fd, replies + got, need - got, deadline);
			if (rc != 0)
				return rc;
			got = need;
			n = handshake_take(replies, got, with_password, out, &need);
			if (n < 0)
				return (int)n;
			if (n > 0)
				return 0;
		} while (step == 2);
	}
	return -EPROTO;
}

/* Make the socket as if it had not been connected, so that the program may try again. */
static void dissolve(int fd)
{
	const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

	(void)real(connect)(fd, &nowhere, sizeof nowhere);
	(void)socket_error(fd); /* the ECONNRESET that Linux leaves behind it */
}

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

/* Look at the replies that have come, and eat what is complete.  The first ones do not stay until
 * the last is there: a recv(2) that has something to give is not interrupted by a signal. */
static int look(int fd, struct flow *flow)
{
	const bool with_password = dial_settings->user_len > 0;
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
		dissolve(fd);
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

/* SO_SNDTIMEO is connect(2)'s timeout (socket(7)); FOREVER without one. */
static int64_t connect_deadline(int fd)
{
	struct timeval limit = {0, 0};
	socklen_t len = sizeof limit;

	(void)real(getsockopt)(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &len);
	if (limit.tv_sec == 0 && limit.tv_usec == 0)
		return FOREVER;
	return now_ms() + (int64_t)limit.tv_sec * 1000 + limit.tv_usec / 1000 + 1;
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
			len = handshake_welcome_len(dial_settings->user_len > 0);
		set_lowat(fd, (int)len); /* less wakes nobody, not even MSG_WAITALL */
		if (real(recv)(fd, replies, len, MSG_PEEK | MSG_WAITALL) == -1 && errno == EINTR)
			return -EINTR;
		return 0;
	}
	return wait_for(fd, POLLIN | POLLRDHUP, deadline) == 0 ? 0 : -EINPROGRESS;
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
	int64_t deadline = blocking ? connect_deadline(fd) : FOREVER;
	struct sockaddr_storage server;
	struct socks5_answer answer;
	struct socks5_addr addr;
	struct handshake shake;
	struct flow flow;
	size_t need = 0;
	int rc;

	if (dial_settings == NULL)
		return -ECONNREFUSED;
	addr_from(&addr, target);
	rc = handshake_make(dial_settings, SOCKS5_CONNECT, &addr, &shake);
	if (rc == 0)
		rc = server_for(fd, target->sa_family, &server, &len);
	if (rc == 0)
		rc = reach(fd, &server, len, deadline);
	if (rc != 0)
		return rc == -EISCONN || rc == -EALREADY ? rc : (dissolve(fd), rc);
	remember(target, &flow);
	flow.lowat = lowat_of(fd);
	flow.state = FLOW_PENDING;
	if (dial_settings->pipeline && flow_put(fd, &flow)) {
		/* The first look that is worth it. */
		(void)handshake_take(NULL, 0, dial_settings->user_len > 0, &answer, &need);
		set_lowat(fd, (int)need);
		rc = send_all(fd, shake.bytes, shake.request_end, deadline);
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
		dissolve(fd);
		return rc;
	}
	rc = converse(fd, &shake, &answer, deadline);
	if (rc != 0) {
		dissolve(fd);
		return rc;
	}
	flow.state = FLOW_UP;
	(void)flow_put(fd, &flow);
	return 0;
}

static int eai_from(int rc)
{
	switch (-rc) {
	case 0:
		return 0;
	case EHOSTUNREACH: /* reply 4: our server's word for "no such name" */
		return EAI_NONAME;
	case EACCES:
	case EOPNOTSUPP:
	case EAFNOSUPPORT:
	case EPROTO:
		return EAI_FAIL;
	default:
		return EAI_AGAIN;
	}
}

int dial_resolve(const char *name, struct socks5_addr *out)
{
	const int64_t deadline = now_ms() + LOOKUP_MS;
	struct socks5_addr asked = {.atyp = SOCKS5_DOMAIN};
	struct socks5_answer answer;
	struct sockaddr_storage server;
	struct handshake shake;
	size_t name_len = strlen(name);
	socklen_t len;
	int fd, rc;

	if (name_len == 0 || name_len > 255)
		return EAI_NONAME;
	if (dial_settings == NULL)
		return EAI_AGAIN;
	asked.host_len = (uint8_t)name_len;
	memcpy(asked.host, name, name_len);
	rc = handshake_make(dial_settings, SOCKS5_RESOLVE, &asked, &shake);
	if (rc != 0)
		return EAI_FAIL;
	fd = socket(dial_settings->server.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return EAI_SYSTEM;
	(void)server_for(fd, dial_settings->server.any.sa_family, &server, &len);
	rc = reach(fd, &server, len, deadline);
	if (rc == 0)
		rc = converse(fd, &shake, &answer, deadline);
	real(close)(fd);
	if (rc == 0 && answer.addr.atyp == SOCKS5_DOMAIN)
		rc = -EPROTO;
	if (rc == 0)
		*out = answer.addr;
	return eai_from(rc);
}
