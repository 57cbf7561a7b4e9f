#include "detour.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "home.h"
#include "relay.h"
#include "talk.h"

enum { DOOR_BACKLOG = 0, QUEUED_MS = 1000 }; /* room for one, who never gets in */

struct detour {
	struct list node;
	struct supervisor *sup;
	struct watch far; /* to the SOCKS server */
	int fd;		  /* the program's socket */
	uint64_t cookie;
	bool told; /* that it is in progress */
	int64_t began_ms;
	union target target;
	struct talk talk;
};

static void drop(struct detour *detour)
{
	if (detour->far.fd != -1) {
		loop_forget(&detour->sup->loop, &detour->far);
		close(detour->far.fd);
	}
	list_remove(&detour->node);
	close(detour->fd);
	free(detour);
}

/* A port that answers nothing at all: somebody waits at it already, and the kernel drops every SYN while its queue
 * is full (listen(2)).  A filter that drops them would need CAP_NET_ADMIN on some kernels.  0 or -errno. */
static int open_door(struct supervisor *sup)
{
	union target *own = &sup->door_address;
	socklen_t len = sizeof *own;
	struct pollfd queue;
	int on = 1, fd, waiting;

	if (sup->door != -1)
		return 0;
	errno = 0;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	waiting = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memset(own, 0, sizeof *own);
	own->v4.sin_family = AF_INET;
	own->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	queue = (struct pollfd){.fd = fd, .events = POLLIN}; /* the last ACK is on its way still */
	if (fd != -1 && waiting != -1 &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 &&
	    bind(fd, &own->any, sizeof own->v4) == 0 && listen(fd, DOOR_BACKLOG) == 0 &&
	    getsockname(fd, &own->any, &len) == 0 &&
	    connect(waiting, &own->any, sizeof own->v4) == 0 && poll(&queue, 1, QUEUED_MS) == 1) {
		sup->door = fd;
		sup->waiting = waiting;
		return 0;
	}
	len = (socklen_t)(errno != 0 ? errno : ETIMEDOUT);
	if (fd != -1)
		close(fd);
	if (waiting != -1)
		close(waiting);
	return -(int)len;
}

/* The program's socket sets out for the door: 0 or -errno. */
static int knock(const struct supervisor *sup, int fd, int family)
{
	union target door = sup->door_address;
	int off = 0;

	if (family == AF_INET6) {
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
		peers_map(&sup->door_address, &door);
	}
	if (connect(fd, &door.any, target_len(&door)) == 0)
		return -EISCONN;
	return errno == EINPROGRESS ? 0 : -errno;
}

/* From the door's port to the program's socket, which are both connected then: a socket or -errno. */
static int meet(const struct supervisor *sup, int fd)
{
	union target own;
	socklen_t len = sizeof own;
	int on = 1, near, rc;

	if (getsockname(fd, &own.any, &len) == -1)
		return -errno;
	if (own.any.sa_family == AF_INET6 && !peers_unmap(&own))
		return -EAFNOSUPPORT;
	near = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (near == -1)
		return -errno;
	if (setsockopt(near, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 &&
	    bind(near, &sup->door_address.any, sizeof sup->door_address.v4) == 0 &&
	    (connect(near, &own.any, sizeof own.v4) == 0 || errno == EINPROGRESS))
		return near;
	rc = -errno;
	close(near);
	return rc;
}

/* The program's socket wakes up with an error, and detour_take_error() has the right one. */
static void fail(struct detour *detour, int error)
{
	const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
	struct supervisor *sup = detour->sup;

	sup->failures[sup->next_failure].cookie = detour->cookie;
	sup->failures[sup->next_failure].error = error;
	sup->next_failure = (sup->next_failure + 1) % FAILURES_MAX;
	(void)connect(detour->fd, &nowhere, sizeof nowhere);
	drop(detour);
}

static void succeed(struct detour *detour)
{
	struct supervisor *sup = detour->sup;
	int near = meet(sup, detour->fd), far = detour->far.fd;
	struct peer *place = peers_place(sup->peers, detour->fd);

	sup->answer_ms = loop_now_ms() - detour->began_ms;
	if (near < 0 || place == NULL) {
		if (near >= 0)
			close(near);
		fail(detour, ECONNABORTED);
		return;
	}
	loop_forget(&sup->loop, &detour->far);
	if (relay_open(&sup->loop, &sup->relays, near, far) != 0) {
		close(near);
		fail(detour, ENOMEM);
		return;
	}
	detour->far.fd = -1;
	*place = peers_make(detour->cookie, &detour->target, &detour->talk.answer.addr);
	place->unannounced = true;
	drop(detour);
}

static void on_far(struct watch *watch, uint32_t ready)
{
	struct detour *detour = list_entry(watch, struct detour, far);
	struct supervisor *sup = detour->sup;
	uint32_t events = EPOLLOUT | EPOLLRDHUP;
	int rc = 0;

	if ((ready & EPOLLOUT) != 0 && detour->talk.sent == 0)
		rc = -talk_reach(sup->settings, watch->fd, sup->settings->server.any.sa_family);
	if (rc == 0 || rc == -EISCONN)
		rc = talk_go_on(&detour->talk, watch->fd, &events);
	if (rc == 1)
		succeed(detour);
	else if (rc == 0 || rc == -EINPROGRESS)
		(void)loop_change(&sup->loop, watch, events);
	else
		fail(detour, -rc);
}

int detour_begin(struct supervisor *sup, int fd, uint64_t cookie, const union target *target)
{
	struct detour *detour = calloc(1, sizeof *detour);
	struct socks5_addr request;
	uint32_t events;
	int rc = detour == NULL ? -ENOMEM : open_door(sup);

	if (rc == 0)
		rc = knock(sup, fd, target->any.sa_family);
	if (rc != 0) {
		free(detour);
		return -rc;
	}
	(void)home_request(&target->any, &request);
	detour->sup = sup;
	detour->fd = fd;
	detour->cookie = cookie;
	detour->target = *target;
	detour->began_ms = loop_now_ms();
	list_append(&sup->detours, &detour->node);
	rc = talk_open(&detour->talk, sup->settings, SOCKS5_CONNECT, &request, &events);
	detour->far = (struct watch){rc < 0 ? -1 : rc, on_far};
	if (rc >= 0)
		rc = loop_watch(&sup->loop, &detour->far, events);
	if (rc < 0)
		fail(detour, -rc);
	return 0;
}

int detour_ask(struct supervisor *sup, uint64_t cookie)
{
	for (struct list *node = sup->detours.next; node != &sup->detours; node = node->next) {
		struct detour *detour = list_entry(node, struct detour, node);

		if (detour->cookie == cookie) {
			int error = detour->told ? EALREADY : EINPROGRESS;

			detour->told = true;
			return error;
		}
	}
	return 0;
}

int detour_take_error(struct supervisor *sup, uint64_t cookie)
{
	for (size_t i = 0; i < FAILURES_MAX; i++)
		if (sup->failures[i].cookie == cookie && cookie != 0) {
			sup->failures[i].cookie = 0;
			return sup->failures[i].error;
		}
	return 0;
}

void detour_drop_all(struct supervisor *sup)
{
	while (!list_empty(&sup->detours))
		drop(list_entry(sup->detours.next, struct detour, node));
	relay_drop_all(&sup->relays);
	if (sup->door != -1) {
		close(sup->waiting);
		close(sup->door);
	}
	sup->door = -1;
}
