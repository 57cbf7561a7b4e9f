#include "address.h"

#include <string.h>

socklen_t address_len(const union address *addr)
{
	return addr->any.sa_family == AF_INET ? sizeof addr->v4 : sizeof addr->v6;
}

uint16_t address_port(const union address *addr)
{
	return ntohs(addr->any.sa_family == AF_INET ? addr->v4.sin_port : addr->v6.sin6_port);
}

void address_set_port(union address *addr, uint16_t port)
{
	if (addr->any.sa_family == AF_INET)
		addr->v4.sin_port = htons(port);
	else
		addr->v6.sin6_port = htons(port);
}

bool address_same_host(const union address *a, const union address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
}

void address_from_socks(union address *out, const struct socks5_addr *in)
{
	memset(out, 0, sizeof *out);
	if (in->atyp == SOCKS5_IPV4) {
		out->v4.sin_family = AF_INET;
		memcpy(&out->v4.sin_addr, in->host, 4);
	} else {
		out->v6.sin6_family = AF_INET6;
		memcpy(&out->v6.sin6_addr, in->host, 16);
	}
	address_set_port(out, in->port);
}

void address_to_socks(struct socks5_addr *out, const union address *in)
{
	memset(out, 0, sizeof *out);
	out->port = address_port(in);
	if (in->any.sa_family == AF_INET) {
		out->atyp = SOCKS5_IPV4;
		out->host_len = 4;
		memcpy(out->host, &in->v4.sin_addr, 4);
	} else if (IN6_IS_ADDR_V4MAPPED(&in->v6.sin6_addr)) {
		out->atyp = SOCKS5_IPV4;
		out->host_len = 4;
		memcpy(out->host, (const uint8_t *)&in->v6.sin6_addr + 12, 4);
	} else {
		out->atyp = SOCKS5_IPV6;
		out->host_len = 16;
		memcpy(out->host, &in->v6.sin6_addr, 16);
	}
}
