#include "home.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "onion.h"
#include "real.h"
#include "shim.h"

static const char resolv_conf[] = "/etc/resolv.conf";

void home_addr(const struct sockaddr *in, struct socks5_addr *out)
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
	out->atyp = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) ? SOCKS5_IPV4 : SOCKS5_IPV6;
	out->host_len = out->atyp == SOCKS5_IPV4 ? 4 : 16;
	memcpy(out->host, v6.sin6_addr.s6_addr + 16 - out->host_len, out->host_len);
}

static bool same(const struct socks5_addr *one, const struct socks5_addr *other)
{
	return one->atyp == other->atyp && one->port == other->port &&
	       memcmp(one->host, other->host, one->host_len) == 0;
}

static bool on_this_machine(const struct socks5_addr *addr)
{
	static const uint8_t any[16], loopback[16] = {[15] = 1};

	if (addr->atyp == SOCKS5_IPV4)
		return addr->host[0] == 127 || memcmp(addr->host, any, 4) == 0;
	return memcmp(addr->host, any, 16) == 0 || memcmp(addr->host, loopback, 16) == 0;
}

static bool on_this_link(const struct socks5_addr *addr)
{
	static const uint8_t broadcast[] = {255, 255, 255, 255};

	if (addr->atyp == SOCKS5_IPV4)
		return addr->host[0] >> 4 == 14 || memcmp(addr->host, broadcast, 4) == 0;
	return addr->host[0] == 0xff;
}

/* `nameserver ADDRESS` of a line of resolv.conf(5). */
static bool take_nameserver(char *line, struct socks5_addr *out)
{
	static const char key[] = "nameserver";
	char *end, *at = line + sizeof key - 1;

	if (strncmp(line, key, sizeof key - 1) != 0 || (*at != ' ' && *at != '\t'))
		return false;
	at += strspn(at, " \t");
	end = at + strcspn(at, " \t\r%#;");
	*end = '\0';
	memset(out, 0, sizeof *out);
	out->port = HOME_DNS_PORT;
	out->atyp = inet_pton(AF_INET, at, out->host) == 1 ? SOCKS5_IPV4 : SOCKS5_IPV6;
	out->host_len = out->atyp == SOCKS5_IPV4 ? 4 : 16;
	return out->atyp == SOCKS5_IPV4 || inet_pton(AF_INET6, at, out->host) == 1;
}

/* Its default, without a file or without a line in it, is this machine. */
static bool listed(char *text, const struct socks5_addr *addr)
{
	struct socks5_addr server;
	bool any = false;

	for (char *line = text, *end; *line != '\0'; line = end) {
		end = line + strcspn(line, "\n");
		if (*end != '\0')
			*end++ = '\0';
		if (!take_nameserver(line, &server))
			continue;
		if (same(&server, addr))
			return true;
		any = true;
	}
	return !any && on_this_machine(addr);
}

static bool is_nameserver(const struct socks5_addr *addr)
{
	char text[4096];
	size_t len = 0;
	ssize_t n;
	int fd, before = errno;

	if (addr->port != HOME_DNS_PORT)
		return false;
	fd = open(resolv_conf, O_RDONLY | O_CLOEXEC);
	while (fd != -1 && len < sizeof text - 1 &&
	       (n = real(read)(fd, text + len, sizeof text - 1 - len)) > 0)
		len += (size_t)n;
	if (fd != -1)
		real(close)(fd);
	text[len] = '\0';
	errno = before;
	return listed(text, addr);
}

static bool is_whole(const struct sockaddr *target, socklen_t len)
{
	return (target->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) ||
	       (target->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6));
}

bool home_is_server(const struct sockaddr *target, socklen_t len)
{
	struct socks5_addr addr, server;

	if (shim_settings == NULL || !is_whole(target, len))
		return false;
	home_addr(target, &addr);
	home_addr(&shim_settings->server.any, &server);
	return same(&addr, &server);
}

bool home_is_loopback(const struct sockaddr *target)
{
	static const uint8_t any[16];
	struct socks5_addr addr;

	home_addr(target, &addr);
	return on_this_machine(&addr) && memcmp(addr.host, any, addr.host_len) != 0;
}

bool home_refuses(int kind, const struct sockaddr *target)
{
	struct socks5_addr addr;

	if (shim_settings == NULL || shim_settings->localhost == LOCALHOST_ALL ||
	    (shim_settings->localhost == LOCALHOST_TCP && kind == SOCK_STREAM))
		return false;
	home_addr(target, &addr);
	return on_this_machine(&addr);
}

bool home_is(const struct sockaddr *target, socklen_t len)
{
	struct socks5_addr addr;

	if (!is_whole(target, len) || home_is_server(target, len))
		return true; /* what is not whole gets the right words from libc */
	home_addr(target, &addr);
	if (on_this_link(&addr))
		return true;
	if (onion_name(&addr) != NULL)
		return false;
	return on_this_machine(&addr) && !is_nameserver(&addr);
}

bool home_request(const struct sockaddr *target, struct socks5_addr *out)
{
	const char *name;

	home_addr(target, out);
	name = onion_name(out);
	if (name != NULL) {
		out->atyp = SOCKS5_DOMAIN;
		out->host_len = (uint8_t)strlen(name);
		memcpy(out->host, name, out->host_len);
		return false;
	}
	if (!is_nameserver(out))
		return false;
	*out = (struct socks5_addr){.atyp = SOCKS5_IPV4, .host_len = 4, .port = HOME_DNS_PORT};
	return true;
}

bool home_sockaddr(const struct socks5_addr *addr, int family, struct sockaddr_storage *out,
		   socklen_t *len)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(addr->port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(addr->port)};

	memset(out, 0, sizeof *out);
	if (addr->atyp == SOCKS5_DOMAIN || (family == AF_INET && addr->atyp == SOCKS5_IPV6))
		return false;
	if (family == AF_INET) {
		memcpy(&v4.sin_addr, addr->host, 4);
		memcpy(out, &v4, *len = sizeof v4);
		return true;
	}
	if (addr->atyp == SOCKS5_IPV4)
		v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(v6.sin6_addr.s6_addr + 16 - addr->host_len, addr->host, addr->host_len);
	memcpy(out, &v6, *len = sizeof v6);
	return true;
}
