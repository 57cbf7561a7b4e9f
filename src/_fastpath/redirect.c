#include "redirect.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "address.h"
#include "hold.h"
#include "link.h"
#include "meant.h"
#include "server.h"

enum { ORIGINAL_DST = 80 }; /* for both families: linux/netfilter_ipv4.h, ip6_tables.h */

/* A REDIRECT rule (iptables-extensions(8), nft(8)) has the kernel keep the address for us; with
 * TPROXY, ipfw(8)'s fwd, or without a rule, the connection's own address is the one.  0 or -errno. */
static int meant_address(int fd, union address *meant)
{
	socklen_t len = sizeof *meant;

	memset(meant, 0, sizeof *meant);
	if (getsockname(fd, &meant->any, &len) == -1)
		return -errno;
#ifdef __linux__
	len = sizeof *meant;
	if (getsockopt(fd, meant->any.sa_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
		       ORIGINAL_DST, meant, &len) == -1 &&
	    errno != ENOENT && errno != ENOPROTOOPT)
		return -errno;
#endif
	return 0;
}

static bool is_listener(const struct server *server, const struct socks5_addr *addr)
{
	union address bound;
	struct socks5_addr own;
	socklen_t len = sizeof bound;

	memset(&bound, 0, sizeof bound);
	if (getsockname(server->acceptor.item.fd, &bound.any, &len) == -1)
		return true;
	address_to_socks(&own, &bound);
	return own.port == addr->port && own.host_len == addr->host_len &&
	       memcmp(own.host, addr->host, own.host_len) == 0;
}

static void redirect_known(struct server *server, int fd, const union address *meant)
{
	struct socks5_addr addr;

	if (meant == NULL) {
		socket_reset(fd);
		return;
	}
	server->engine->counters.clients++;
	if (hold_claim(server->tunnel, fd, meant))
		return;
	address_to_socks(&addr, meant);
	if (is_listener(server, &addr) || link_open_connect(server->tunnel, fd, &addr) != 0) {
		server->engine->counters.clients--;
		socket_reset(fd);
	}
}

void redirect_open(struct server *server, int fd)
{
	union address meant;

	if (server->meant == NULL)
		redirect_known(server, fd, meant_address(fd, &meant) == 0 ? &meant : NULL);
	else if (meant_ask(server->meant, fd) != 0)
		socket_reset(fd);
}

int redirect_ask(struct server *server, int fd)
{
	server->meant = meant_open(server->engine, fd, server, redirect_known);
	return server->meant == NULL ? -errno : 0;
}
