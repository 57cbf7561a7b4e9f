#include "peers.h"

#include <stddef.h>
#include <stdlib.h>

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

struct peer *peers_new(void)
{
	return calloc(UINT16_MAX + 1, sizeof(struct peer));
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

struct peer *peers_find(struct peer *peers, int fd)
{
	struct peer *peer = peers_place(peers, fd);

	return peer != NULL && peer->cookie != 0 && peer->cookie == peers_cookie(fd) ? peer : NULL;
}
