#include "flow.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "association.h"
#include "home.h"
#include "names.h"

enum {
	ROUTES_MAX = 1024,     /* targets of one socket; the oldest makes way */
	SWEEP_MS = 10000,      /* how long a relay may outlive its socket */
	SWEEP_FLOWS_MIN = 256, /* as many at once are swept sooner, then twice as many as are left */
	DATAGRAMS_A_TURN = 32,
	UDP_LINE = 256, /* of /proc/net/udp */
};

struct route {
	struct list node;
	struct watch relay; /* bound on loopback, connected to the program's socket */
	struct flow *flow;
	struct asker asker; /* for a name server */
	bool asks;
	in_port_t port; /* the relay's, network order */
	union target target; /* in the family of the program's socket */
	struct socks5_addr request;
};

struct flow {
	struct list node, routes;
	struct supervisor *sup;
	struct association association;
	uint64_t cookie;
	ino_t inode;
	union target own; /* where relays reach the program's socket */
	size_t n_routes;
	bool loose; /* has sent without being connected: hears everybody */
	bool seen;
};

static void drop_route(struct route *route)
{
	loop_forget(&route->flow->sup->loop, &route->relay);
	names_forget(&route->asker);
	list_remove(&route->node);
	route->flow->n_routes--;
	close(route->relay.fd);
	free(route);
}

static void drop_flow(struct flow *flow)
{
	while (!list_empty(&flow->routes))
		drop_route(list_entry(flow->routes.next, struct route, node));
	association_close(&flow->association);
	list_remove(&flow->node);
	flow->sup->n_flows--;
	free(flow);
}

/* To the program: what it reads as sent by the target. */
static void deliver(struct route *route, const uint8_t *payload, size_t len)
{
	(void)send(route->relay.fd, payload, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_answered(struct asker *asker, const uint8_t *message, size_t len)
{
	deliver(list_entry(asker, struct route, asker), message, len);
}

/* From the program. */
static void forward(struct route *route, const uint8_t *payload, size_t len)
{
	if (route->asks)
		names_ask(route->flow->sup->names, &route->asker, payload, len);
	else
		association_send(&route->flow->association, &route->request, payload, len);
}

static void on_relay(struct watch *watch, uint32_t events)
{
	struct route *route = list_entry(watch, struct route, relay);
	uint8_t payload[DATAGRAM_MAX];

	(void)events;
	for (int i = 0; i < DATAGRAMS_A_TURN; i++) {
		ssize_t n = recv(watch->fd, payload, sizeof payload, MSG_DONTWAIT);

		if (n == -1 && errno == ECONNREFUSED) { /* the program has closed its socket */
			drop_flow(route->flow);
			return;
		}
		if (n == -1)
			return;
		forward(route, payload, (size_t)n);
	}
}

static struct route *find_route(const struct flow *flow, const struct socks5_addr *request)
{
	for (struct list *node = flow->routes.next; node != &flow->routes; node = node->next) {
		struct route *route = list_entry(node, struct route, node);

		if (route->request.atyp == request->atyp && route->request.port == request->port &&
		    memcmp(route->request.host, request->host, request->host_len) == 0)
			return route;
	}
	return NULL;
}

/* Loopback, as a socket of this family reaches it; `mapped`: by IPv4. */
static void loopback(union target *out, int family, bool mapped)
{
	memset(out, 0, sizeof *out);
	out->any.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		out->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	} else {
		out->v6.sin6_addr = in6addr_loopback;
	}
	if (mapped) {
		loopback(out, AF_INET, false);
		peers_map(out, out);
	}
}

/* A socket bound on loopback that speaks with `own` alone: it and its port, or -errno. */
static int open_relay(const union target *own, in_port_t *port)
{
	const int family = own->any.sa_family;
	union target relay;
	socklen_t len = sizeof relay;
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc;

	if (fd == -1)
		return -errno;
	loopback(&relay, family,
		 family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&own->v6.sin6_addr));
	if (bind(fd, &relay.any, target_len(&relay)) == 0 &&
	    getsockname(fd, &relay.any, &len) == 0 &&
	    connect(fd, &own->any, target_len(own)) == 0) {
		*port = relay.v4.sin_port; /* sin6_port is at the same place */
		return fd;
	}
	rc = -errno;
	close(fd);
	return rc;
}

/* Where relays can reach the program's socket, which gets a port if it has none: 0 or -errno. */
static int find_own(int fd, union target *own)
{
	socklen_t len = sizeof *own;
	in_port_t port;
	int probe;

	memset(own, 0, sizeof *own);
	if (getsockname(fd, &own->any, &len) == -1)
		return -errno;
	if (own->v4.sin_port == 0) {
		len = sizeof *own;
		if (bind(fd, &own->any, target_len(own)) == -1 ||
		    getsockname(fd, &own->any, &len) == -1)
			return -errno;
	}
	port = own->v4.sin_port;
	if (own->any.sa_family == AF_INET && own->v4.sin_addr.s_addr == INADDR_ANY)
		loopback(own, AF_INET, false);
	else if (own->any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&own->v6.sin6_addr))
		loopback(own, AF_INET6, false);
	own->v4.sin_port = port;
	probe = open_relay(own, &port);
	if (probe == -EADDRNOTAVAIL) { /* a machine without ::1 */
		port = own->v4.sin_port;
		loopback(own, AF_INET6, true);
		own->v4.sin_port = port;
		return 0;
	}
	if (probe >= 0)
		close(probe);
	return probe < 0 ? probe : 0;
}

/* An IPv4 target of an IPv6 socket, as that socket says it. */
static void say_as(int family, const union target *target, union target *out)
{
	*out = *target;
	if (target->any.sa_family != family && family == AF_INET6)
		peers_map(target, out);
}

/* NULL with errno. */
static struct route *route_for(struct flow *flow, const union target *target)
{
	struct socks5_addr request;
	bool asks = home_request(&target->any, &request);
	struct route *route = find_route(flow, &request);
	int rc;

	if (route != NULL)
		return route;
	if (flow->n_routes == ROUTES_MAX)
		drop_route(list_entry(flow->routes.next, struct route, node));
	route = calloc(1, sizeof *route);
	if (route == NULL)
		return NULL;
	route->flow = flow;
	route->request = request;
	route->asks = asks;
	route->asker.answered = on_answered;
	list_init(&route->asker.questions);
	say_as(flow->own.any.sa_family, target, &route->target);
	list_append(&flow->routes, &route->node);
	flow->n_routes++;
	rc = open_relay(&flow->own, &route->port);
	route->relay = (struct watch){rc, on_relay};
	if (rc >= 0)
		rc = loop_watch(&flow->sup->loop, &route->relay, EPOLLIN);
	if (rc == 0)
		return route;
	drop_route(route);
	errno = -rc;
	return NULL;
}

/* From somebody in the cluster, to whom the program need not have spoken. */
static void on_received(struct association *association, const struct socks5_addr *from,
			const uint8_t *payload, size_t len)
{
	struct flow *flow = list_entry(association, struct flow, association);
	struct route *route = find_route(flow, from);
	struct sockaddr_storage said;
	union target target;
	socklen_t said_len;

	if (route == NULL && flow->loose &&
	    home_sockaddr(from, flow->own.any.sa_family, &said, &said_len)) {
		memcpy(&target, &said, sizeof target);
		route = route_for(flow, &target);
	}
	if (route != NULL)
		deliver(route, payload, len);
}

/* The sockets of a kernel's table that are ours are seen; false: there is no such table. */
static bool see(struct supervisor *sup, const char *path)
{
	FILE *table = fopen(path, "re");
	char line[UDP_LINE];
	unsigned long inode;

	if (table == NULL)
		return false;
	while (fgets(line, sizeof line, table) != NULL) {
		if (sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %lu", &inode) != 1)
			continue;
		for (struct list *node = sup->flows.next; node != &sup->flows; node = node->next) {
			struct flow *flow = list_entry(node, struct flow, node);

			flow->seen = flow->seen || flow->inode == inode;
		}
	}
	(void)fclose(table);
	return true;
}

static void sweep(struct supervisor *sup)
{
	struct list *next;
	bool known = see(sup, "/proc/net/udp");

	known = see(sup, "/proc/net/udp6") || known;
	for (struct list *node = sup->flows.next; node != &sup->flows; node = next) {
		struct flow *flow = list_entry(node, struct flow, node);

		next = node->next;
		if (known && !flow->seen)
			drop_flow(flow);
		else
			flow->seen = false;
	}
	sup->flows_max = sup->n_flows * 2 < SWEEP_FLOWS_MIN ? SWEEP_FLOWS_MIN : sup->n_flows * 2;
}

static void on_sweep(struct timer *timer)
{
	struct supervisor *sup = list_entry(timer, struct supervisor, flow_sweep);

	sweep(sup);
	if (sup->n_flows > 0)
		loop_timer(&sup->loop, timer, SWEEP_MS);
}

/* NULL with errno. */
static struct flow *flow_new(struct supervisor *sup, int fd)
{
	struct flow *flow = calloc(1, sizeof *flow);
	struct stat status;
	int rc;

	if (flow == NULL || fstat(fd, &status) == -1) {
		free(flow);
		return NULL;
	}
	rc = find_own(fd, &flow->own);
	if (rc != 0) {
		free(flow);
		errno = -rc;
		return NULL;
	}
	if (sup->n_flows >= sup->flows_max)
		sweep(sup);
	flow->sup = sup;
	flow->cookie = peers_cookie(fd);
	flow->inode = status.st_ino;
	list_init(&flow->routes);
	association_init(&flow->association, sup, on_received);
	list_append(&sup->flows, &flow->node);
	sup->n_flows++;
	if (list_empty(&sup->flow_sweep.node))
		loop_timer(&sup->loop, &sup->flow_sweep, SWEEP_MS);
	return flow;
}

void flow_prepare(struct supervisor *sup)
{
	list_init(&sup->flows);
	list_init(&sup->flow_sweep.node);
	sup->flow_sweep.expired = on_sweep;
	sup->flows_max = SWEEP_FLOWS_MIN;
}

struct flow *flow_find(struct supervisor *sup, int fd)
{
	uint64_t cookie = sup->n_flows == 0 ? 0 : peers_cookie(fd);

	if (cookie == 0)
		return NULL;
	for (struct list *node = sup->flows.prev; node != &sup->flows; node = node->prev) {
		struct flow *flow = list_entry(node, struct flow, node);

		if (flow->cookie == cookie)
			return flow;
	}
	return NULL;
}

int flow_connect(struct supervisor *sup, int fd, const union target *target)
{
	struct flow *flow = flow_find(sup, fd);
	struct route *route;
	union target relay;

	if (flow == NULL)
		flow = flow_new(sup, fd);
	route = flow == NULL ? NULL : route_for(flow, target);
	if (route == NULL)
		return errno;
	loopback(&relay, flow->own.any.sa_family,
		 flow->own.any.sa_family == AF_INET6 &&
			 IN6_IS_ADDR_V4MAPPED(&flow->own.v6.sin6_addr));
	relay.v4.sin_port = route->port;
	return connect(fd, &relay.any, target_len(&relay)) == -1 ? errno : 0;
}

int flow_send(struct supervisor *sup, int fd, const union target *target, const uint8_t *payload,
	      size_t len)
{
	struct flow *flow = flow_find(sup, fd);
	struct route *route;

	if (flow == NULL)
		flow = flow_new(sup, fd);
	route = flow == NULL ? NULL : route_for(flow, target);
	if (route == NULL)
		return errno;
	flow->loose = true;
	forward(route, payload, len);
	return 0;
}

const union target *flow_target(const struct flow *flow, const union target *relay)
{
	for (struct list *node = flow->routes.next; node != &flow->routes; node = node->next) {
		struct route *route = list_entry(node, struct route, node);

		if (route->port == relay->v4.sin_port)
			return &route->target;
	}
	return NULL;
}

void flow_drop_all(struct supervisor *sup)
{
	while (!list_empty(&sup->flows))
		drop_flow(list_entry(sup->flows.next, struct flow, node));
	loop_stop_timer(&sup->flow_sweep);
}
