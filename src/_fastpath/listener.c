#include "listener.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "acceptor.h"
#include "address.h"
#include "link.h"
#include "tunnel.h"

enum { BACKLOG = 4096 }; /* the kernel cuts it to net.core.somaxconn, which in a pod is 4096 (listen(2)) */

struct listener {
	struct end end; /* first */
	struct acceptor acceptor;
	struct socks5_addr here; /* what a connection's request names */
};

static void listener_accepted(struct acceptor *acceptor, int fd)
{
	struct listener *listener = list_entry(acceptor, struct listener, acceptor);

	if (link_open_connect(listener->end.tunnel, fd, &listener->here) != 0)
		socket_reset(fd);
}

/* Connections that were accepted have streams of their own. */
static void listener_fin(struct end *end)
{
	acceptor_close(&((struct listener *)end)->acceptor);
	end_fin(end);
}

static void listener_reset(struct end *end)
{
	acceptor_close(&((struct listener *)end)->acceptor);
	end_reset(end);
}

static void listener_data(struct end *end, const uint8_t *data, size_t len)
{
	(void)data;
	end_consumed(end, len);
}

static void listener_run(struct task *task)
{
	(void)task;
}

static const struct end_kind listener_kind = {
	.size = sizeof(struct listener),
	.data = listener_data,
	.fin = listener_fin,
	.reset = listener_reset,
	.run = listener_run,
};

/* Any address of one family, which for IPv6 is both: a socket, with its address, or -errno. */
static int listen_on(int family, uint16_t port, union address *bound)
{
	int yes = 1, no = 0, error;
	socklen_t len = sizeof *bound;
	int fd = socket_open(family);

	if (fd < 0)
		return fd;
	memset(bound, 0, sizeof *bound);
	bound->any.sa_family = (sa_family_t)family;
	address_set_port(bound, port);
	/* A listener that is opened again need not wait for its old connections (socket(7)). */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if ((family == AF_INET || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no) == 0) &&
	    bind(fd, &bound->any, address_len(bound)) == 0 && listen(fd, BACKLOG) == 0 &&
	    getsockname(fd, &bound->any, &len) == 0)
		return fd;
	error = errno;
	close(fd);
	return -error;
}

static int listen_everywhere(uint16_t port, union address *bound)
{
	int fd = listen_on(AF_INET6, port, bound);

	/* A kernel without IPv6, or with IPv6 switched off. */
	if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)
		fd = listen_on(AF_INET, port, bound);
	return fd;
}

struct end *listener_serve(struct tunnel *tunnel, struct mux_stream *stream,
			   const struct socks5_request *request)
{
	struct end *end = end_new(tunnel, stream, &listener_kind);
	struct listener *listener = (struct listener *)end;
	union address bound;
	struct socks5_addr addr;
	int fd = end == NULL ? -ENOMEM : listen_everywhere(request->addr.port, &bound);
	int rc = fd < 0 ? fd : acceptor_open(&listener->acceptor, tunnel->engine, fd, listener_accepted);

	if (rc != 0) {
		if (fd >= 0)
			close(fd);
		if (end != NULL)
			end_refuse(end, socks5_reply_from_errno(-rc));
		return NULL;
	}
	listener->here = (struct socks5_addr){
		.atyp = SOCKS5_IPV4, .host_len = 4, .port = address_port(&bound), .host = {127, 0, 0, 1}};
	address_to_socks(&addr, &bound);
	if (end_reply(end, SOCKS5_SUCCEEDED, &addr) != 0) {
		listener_reset(end);
		return NULL;
	}
	return end;
}
