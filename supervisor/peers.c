#include "peers.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "home.h"

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

struct peer *peers_new(void)
{
	return calloc(UINT16_MAX + 1, sizeof(struct peer));
}

void peers_map(const union target *v4, union target *out)
{
	const union target from = *v4;

	memset(out, 0, sizeof *out);
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = from.v4.sin_port;
	out->v6.sin6_addr.s6_addr[10] = out->v6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(out->v6.sin6_addr.s6_addr + 12, &from.v4.sin_addr, 4);
}

bool peers_unmap(union target *target)
{
	const union target from = *target;

	if (!IN6_IS_ADDR_V4MAPPED(&from.v6.sin6_addr))
		return false;
	memset(target, 0, sizeof *target);
	target->v4.sin_family = AF_INET;
	target->v4.sin_port = from.v6.sin6_port;
	memcpy(&target->v4.sin_addr, from.v6.sin6_addr.s6_addr + 12, 4);
	return true;
}

socklen_t target_len(const union target *target)
{
	return target->any.sa_family == AF_INET ? sizeof target->v4 : sizeof target->v6;
}

uint64_t peers_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof cookie;

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == -1 ? 0 : cookie;
}

struct peer *peers_place(struct peer *peers, int fd)
{
	union target own = {.any.sa_family = AF_UNSPEC};
	socklen_t len = sizeof own;

	if (getsockname(fd, &own.any, &len) == -1)
		return NULL;
	if (own.any.sa_family == AF_INET)
		return &peers[own.v4.sin_port];
	return own.any.sa_family == AF_INET6 ? &peers[own.v6.sin6_port] : NULL;
}

struct peer peers_make(uint64_t cookie, const union target *target, const struct socks5_addr *bound)
{
	struct peer peer = {.cookie = cookie, .len = target_len(target), .target = *target};
	struct sockaddr_storage local;
	socklen_t len;

	if (bound->port != 0 && home_sockaddr(bound, target->any.sa_family, &local, &len))
		memcpy(&peer.local, &local, len);
	return peer;
}

struct peer *peers_find(struct peer *peers, int fd)
{
	struct peer *peer = peers_place(peers, fd);

	return peer != NULL && peer->cookie != 0 && peer->cookie == peers_cookie(fd) ? peer : NULL;
}
