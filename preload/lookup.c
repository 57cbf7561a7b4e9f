#include "lookup.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exchange.h"
#include "handshake.h"
#include "onion.h"
#include "real.h"
#include "shim.h"

/* resolv.conf(5): 3 servers x 2 attempts x 5 s is what a program waits for a name at most. */
enum { LOOKUP_MS = 30000 };

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
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		errno = -rc;
		return EAI_SYSTEM;
	default:
		return EAI_AGAIN;
	}
}

/* RESOLVE has no use for its port; our server reads there which addresses are wanted, and tells all
 * of them, one reply behind the other.  Any other server tells one. */
static uint16_t wanted(int family)
{
	if (!shim_settings->pipeline)
		return 0;
	return family == AF_INET ? SOCKS5_WANT_IPV4
	       : family == AF_INET6 ? SOCKS5_WANT_IPV6 : SOCKS5_WANT_ALL;
}

/* The replies behind the first.  They may end at any time: what has come is an answer. */
static int more_answers(int fd, int n, struct socks5_addr out[LOOKUP_MAX], int64_t deadline)
{
	while (n < LOOKUP_MAX) {
		uint8_t reply[SOCKS5_REPLY_MAX];
		struct socks5_answer answer;
		size_t got = 0, need = 4;
		ssize_t taken = 0;

		while (taken == 0) {
			if (exchange_receive(fd, reply + got, need - got, deadline) != 0)
				return n;
			got = need;
			taken = handshake_take_answer(reply, got, &answer, &need);
		}
		if (taken < 0)
			return n;
		out[n++] = answer.addr;
	}
	return n;
}

int lookup_addresses(const char *name, int family, struct socks5_addr out[LOOKUP_MAX])
{
	const int64_t deadline = exchange_deadline(LOOKUP_MS);
	struct socks5_addr asked = {.atyp = SOCKS5_DOMAIN};
	struct socks5_answer answer;
	size_t len = strlen(name);
	int fd, n = 1;

	if (len == 0 || len > 255)
		return EAI_NONAME;
	if (shim_settings == NULL)
		return EAI_AGAIN;
	if (onion_address(name, out))
		return 1;
	asked.host_len = (uint8_t)len;
	asked.port = wanted(family);
	memcpy(asked.host, name, len);
	fd = exchange_open(SOCKS5_RESOLVE, &asked, &answer, deadline);
	if (fd < 0)
		return eai_from(fd);
	out[0] = answer.addr;
	if (shim_settings->pipeline)
		n = more_answers(fd, n, out, deadline);
	real(close)(fd);
	for (int i = 0; i < n; i++)
		if (out[i].atyp == SOCKS5_DOMAIN)
			return EAI_FAIL;
	return n;
}

int lookup_name(const struct socks5_addr *addr, char name[256])
{
	struct socks5_answer answer;
	int fd;

	if (shim_settings == NULL)
		return EAI_AGAIN;
	fd = exchange_open(SOCKS5_RESOLVE_PTR, addr, &answer, exchange_deadline(LOOKUP_MS));
	if (fd < 0)
		return eai_from(fd);
	real(close)(fd);
	if (answer.addr.atyp != SOCKS5_DOMAIN)
		return EAI_FAIL;
	memcpy(name, answer.addr.host, answer.addr.host_len);
	name[answer.addr.host_len] = '\0';
	return 0;
}
