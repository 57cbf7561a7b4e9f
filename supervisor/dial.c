#include "dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <unistd.h>

#include "handshake.h"
#include "home.h"

struct waiter {
	struct list node;
	uint64_t id;
};

struct dial {
	struct watch watch; /* our descriptor of the program's socket */
	struct timer timer; /* until SO_SNDTIMEO is over */
	struct list node, waiting;
	struct supervisor *sup;
	uint64_t cookie;
	socklen_t target_len;
	union target target;
	struct handshake shake;
	size_t sent, until; /* of shake: what is to be sent before the next answer */
	size_t got, need;   /* of replies */
	uint8_t replies[HANDSHAKE_REPLIES_MAX];
};

static int socket_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof error;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1 ? errno : error;
}

/* Make the socket as if it had not been connected, so that the program may try again. */
static void dissolve(int fd)
{
	const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

	(void)connect(fd, &nowhere, sizeof nowhere);
	(void)socket_error(fd); /* the ECONNRESET that Linux leaves behind it */
}

/* The server's address for a socket of this family: 0 or -EAFNOSUPPORT. */
static int server_for(const struct settings *settings, int fd, int family, union target *out,
		      socklen_t *len)
{
	int off = 0;

	memset(out, 0, sizeof *out);
	if (settings->server.any.sa_family == family) {
		*len = family == AF_INET ? sizeof out->v4 : sizeof out->v6;
		memcpy(out, &settings->server, *len);
		return 0;
	}
	if (family == AF_INET)
		return -EAFNOSUPPORT; /* a server on IPv6 and a socket for IPv4 */
	/* Not allowed once the socket is bound: then an IPv6-only socket has no way there. */
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	*len = sizeof out->v6;
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = settings->server.v4.sin_port;
	out->v6.sin6_addr.s6_addr[10] = out->v6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(out->v6.sin6_addr.s6_addr + 12, &settings->server.v4.sin_addr, 4);
	return 0;
}

/* connect(2) that does not wait, whatever the program chose for its socket: 0 or an errno. */
static int reach(int fd, const union target *server, socklen_t len, int flags)
{
	int off = 0, error = 0;

	/* With it connect(2) would only pretend, until the program's first bytes. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &off, sizeof off);
	if ((flags & O_NONBLOCK) == 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	if (connect(fd, &server->any, len) == -1)
		error = errno;
	/* The server is on this machine: by now it has answered.  The second call hears of it, which
	 * makes the connection complete for every later connect(2), too. */
	if (error == EINPROGRESS)
		error = connect(fd, &server->any, len) == 0 ? 0 : errno;
	if (error == EALREADY)
		error = EINPROGRESS;
	if ((flags & O_NONBLOCK) == 0)
		(void)fcntl(fd, F_SETFL, flags);
	return error;
}

/* The server had no room at first: what has become of it. */
static int complete(const struct dial *dial)
{
	int family = dial->target.any.sa_family;
	union target server;
	socklen_t len;

	if (server_for(dial->sup->settings, dial->watch.fd, family, &server, &len) != 0)
		return EAFNOSUPPORT;
	return reach(dial->watch.fd, &server, len, fcntl(dial->watch.fd, F_GETFL));
}

static bool with_password(const struct dial *dial)
{
	return dial->shake.userpass_end > dial->shake.greeting_end;
}

/* True if anybody has heard it. */
static bool tell(struct dial *dial, int error)
{
	bool heard = false;
	struct list *node;

	while ((node = list_shift(&dial->waiting)) != NULL) {
		struct waiter *waiter = list_entry(node, struct waiter, node);

		heard |= error == 0 ? notify_result(dial->sup->listener, waiter->id, 0)
				    : notify_error(dial->sup->listener, waiter->id, error);
		free(waiter);
	}
	return heard;
}

static void drop(struct dial *dial)
{
	loop_forget(&dial->sup->loop, &dial->watch);
	loop_stop_timer(&dial->timer);
	list_remove(&dial->node);
	(void)tell(dial, ENOMEM); /* nobody waits any more, but for one that found no memory */
	close(dial->watch.fd);
	free(dial);
}

static void finish(struct dial *dial, int error)
{
	struct peer *place;
	bool heard;

	if (error != 0)
		dissolve(dial->watch.fd);
	place = error == 0 ? peers_place(dial->sup->peers, dial->watch.fd) : NULL;
	if (place != NULL)
		*place = (struct peer){dial->cookie, dial->target_len, false, dial->target};
	heard = tell(dial, error);
	if (place != NULL)
		place->unannounced = !heard;
	drop(dial);
}

/* What lies in shake until `until`: 1 all sent, 0 later, -errno. */
static int send_more(struct dial *dial)
{
	while (dial->sent < dial->until) {
		ssize_t n = send(dial->watch.fd, dial->shake.bytes + dial->sent,
				 dial->until - dial->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n == -1)
			return errno == EAGAIN ? 0 : -errno;
		dial->sent += (size_t)n;
	}
	return 1;
}

/* After an answer to less than the whole: the next message.  A server of another make gets them one
 * by one. */
static void next_message(struct dial *dial)
{
	const struct handshake *shake = &dial->shake;

	dial->until = dial->until < shake->userpass_end ? shake->userpass_end : shake->request_end;
	dial->need = dial->got + 2;
}

/* 1 connected, 0 more to come, -errno. */
static int take_replies(struct dial *dial)
{
	struct socks5_answer answer;
	ssize_t n;

	while (dial->got < dial->need) {
		/* Not a byte more: what follows the answer is the program's. */
		n = recv(dial->watch.fd, dial->replies + dial->got, dial->need - dial->got,
			 MSG_DONTWAIT);
		if (n == -1)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (n == 0)
			return -ECONNRESET;
		dial->got += (size_t)n;
	}
	n = handshake_take(dial->replies, dial->got, with_password(dial), &answer, &dial->need);
	if (n < 0)
		return (int)n;
	if (n > 0)
		return 1;
	if (dial->until < dial->shake.request_end)
		next_message(dial);
	return 0;
}

/* As far as it gets without waiting. */
static void talk(struct dial *dial)
{
	int rc;

	do {
		size_t need = dial->need;

		rc = send_more(dial);
		if (rc == 0)
			(void)loop_change(&dial->sup->loop, &dial->watch, EPOLLOUT | EPOLLRDHUP);
		if (rc == 1) {
			rc = take_replies(dial);
			if (rc == 0 && dial->need != need)
				continue;
		}
		break;
	} while (true);
	if (rc == 1 || rc < 0)
		finish(dial, rc == 1 ? 0 : -rc);
}

static void on_ready(struct watch *watch, uint32_t events)
{
	struct dial *dial = list_entry(watch, struct dial, watch);

	if ((events & EPOLLOUT) != 0) {
		int error = dial->sent > 0 ? 0 : complete(dial);

		if (error != 0) {
			finish(dial, error);
			return;
		}
		(void)loop_change(&dial->sup->loop, watch, EPOLLIN | EPOLLRDHUP);
	}
	talk(dial);
}

/* A blocking connect(2) says so when SO_SNDTIMEO is over, and goes on (socket(7)). */
static void on_timeout(struct timer *timer)
{
	(void)tell(list_entry(timer, struct dial, timer), EINPROGRESS);
}

static int64_t timeout_ms(int fd)
{
	struct timeval limit = {0, 0};
	socklen_t len = sizeof limit;

	(void)getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &len);
	return (int64_t)limit.tv_sec * 1000 + (limit.tv_usec + 999) / 1000;
}

static bool await(struct dial *dial, uint64_t id)
{
	struct waiter *waiter = malloc(sizeof *waiter);

	if (waiter == NULL)
		return false;
	waiter->id = id;
	list_append(&dial->waiting, &waiter->node);
	return true;
}

static struct dial *dial_new(struct supervisor *sup, uint64_t cookie, int fd,
			     const union target *target)
{
	struct dial *dial = calloc(1, sizeof *dial);
	struct socks5_addr addr;
	struct socks5_answer answer;

	if (dial == NULL)
		return NULL;
	dial->sup = sup;
	dial->cookie = cookie;
	dial->watch = (struct watch){fd, on_ready};
	dial->timer.expired = on_timeout;
	dial->target = *target;
	dial->target_len = target->any.sa_family == AF_INET ? sizeof target->v4 : sizeof target->v6;
	list_init(&dial->timer.node);
	list_init(&dial->waiting);
	(void)home_request(&target->any, &addr);
	if (handshake_make(sup->settings, SOCKS5_CONNECT, &addr, &dial->shake) != 0) {
		free(dial);
		return NULL;
	}
	if (sup->settings->pipeline) {
		dial->until = dial->shake.request_end;
		(void)handshake_take(NULL, 0, with_password(dial), &answer, &dial->need);
	} else {
		dial->until = dial->shake.greeting_end;
		dial->need = 2;
	}
	list_append(&sup->dials, &dial->node);
	return dial;
}

static struct dial *find(struct supervisor *sup, uint64_t cookie)
{
	for (struct list *node = sup->dials.next; node != &sup->dials; node = node->next) {
		struct dial *dial = list_entry(node, struct dial, node);

		if (dial->cookie == cookie)
			return dial;
	}
	return NULL;
}

/* The way to the server: 0 or EINPROGRESS, else the errno that the program gets, or -1: it is done. */
static int set_out(struct supervisor *sup, int fd, int family, int flags)
{
	union target server;
	struct peer *peer;
	socklen_t len;
	int error = -server_for(sup->settings, fd, family, &server, &len);

	if (error == 0)
		error = reach(fd, &server, len, flags);
	if (error == EISCONN && (peer = peers_find(sup->peers, fd)) != NULL && peer->unannounced) {
		peer->unannounced = false; /* the call that brought it there was interrupted */
		return -1;
	}
	if (error != 0 && error != EINPROGRESS && error != EISCONN && error != EALREADY)
		dissolve(fd);
	return error;
}

static void begin(struct supervisor *sup, const struct call *call, struct dial *dial, int flags)
{
	const int fd = dial->watch.fd;
	int error = set_out(sup, fd, dial->target.any.sa_family, flags);
	int64_t limit_ms;

	if (error == 0 || error == EINPROGRESS) {
		uint32_t events = error == 0 ? EPOLLIN : EPOLLOUT;

		if (await(dial, call->id) &&
		    loop_watch(&sup->loop, &dial->watch, events | EPOLLRDHUP) == 0) {
			limit_ms = (flags & O_NONBLOCK) != 0 ? 0 : timeout_ms(fd);
			if (limit_ms > 0)
				loop_timer(&sup->loop, &dial->timer, limit_ms);
			if (error == 0)
				talk(dial);
			return;
		}
		dissolve(fd);
		error = ENOMEM;
	}
	if (error == -1)
		(void)notify_result(sup->listener, call->id, 0);
	else
		(void)notify_error(sup->listener, call->id, error);
	drop(dial);
}

void dial_call(struct supervisor *sup, const struct call *call, int fd, const union target *target)
{
	uint64_t cookie = peers_cookie(fd);
	struct dial *dial = find(sup, cookie);

	if (dial != NULL) { /* a signal came between, and the program or the kernel asks again */
		close(fd);
		if (!await(dial, call->id))
			(void)notify_error(sup->listener, call->id, ENOMEM);
		return;
	}
	dial = dial_new(sup, cookie, fd, target);
	if (dial != NULL) {
		begin(sup, call, dial, fcntl(fd, F_GETFL));
		return;
	}
	(void)notify_error(sup->listener, call->id, ENOMEM);
	close(fd);
}

void dial_drop_all(struct supervisor *sup)
{
	while (!list_empty(&sup->dials))
		drop(list_entry(sup->dials.next, struct dial, node));
}
