#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "dial.h"
#include "hooks.h"
#include "real.h"

/* gethostbyname(3) answers numbers itself: dotted in every form of inet_aton(3), or IPv6. */
static bool is_number(const char *name)
{
	struct in6_addr addr;

	return inet_aton(name, (struct in_addr *)&addr) != 0 ||
	       inet_pton(AF_INET6, name, &addr) == 1;
}

static int h_error_from(int eai)
{
	switch (eai) {
	case EAI_NONAME:
		return HOST_NOT_FOUND;
	case EAI_AGAIN:
		return TRY_AGAIN;
	case EAI_SYSTEM:
		return NETDB_INTERNAL;
	default:
		return NO_RECOVERY;
	}
}

/* Two addresses ("this one", no more), no aliases, the bytes, the name: ERANGE if no room. */
static int pack(const char *name, const struct socks5_addr *addr, struct hostent *host, char *buf,
		size_t room)
{
	size_t skip = -(uintptr_t)buf % sizeof(char *), name_len = strlen(name) + 1;
	size_t need = skip + 3 * sizeof(char *) + 16 + name_len;
	char **lists = (char **)(void *)(buf + skip);
	char *bytes = buf + skip + 3 * sizeof(char *);

	if (room < need)
		return ERANGE;
	lists[0] = bytes;
	lists[1] = NULL;
	lists[2] = NULL;
	memcpy(bytes, addr->host, addr->host_len);
	memcpy(bytes + 16, name, name_len);
	*host = (struct hostent){
		.h_name = bytes + 16,
		.h_aliases = lists + 2,
		.h_addrtype = addr->atyp == SOCKS5_IPV4 ? AF_INET : AF_INET6,
		.h_length = addr->host_len,
		.h_addr_list = lists,
	};
	return 0;
}

/* Looks up and packs.  0, or an errno with *h_error. */
static int look_up(const char *name, int family, struct hostent *host, char *buf, size_t room,
		   int *h_error)
{
	int before = errno, rc;
	struct socks5_addr addr;

	rc = dial_resolve(name, &addr);
	if (rc != 0) {
		*h_error = h_error_from(rc);
		return rc == EAI_SYSTEM ? errno : rc == EAI_AGAIN ? EAGAIN : 0;
	}
	if ((addr.atyp == SOCKS5_IPV4) != (family == AF_INET)) {
		*h_error = NO_DATA;
		return 0;
	}
	rc = pack(name, &addr, host, buf, room);
	*h_error = rc == 0 ? NETDB_SUCCESS : NETDB_INTERNAL;
	errno = rc == 0 ? before : rc;
	return rc;
}

int tp_gethostbyname_r(const char *name, int family, struct hostent *host, char *buf, size_t room,
		       struct hostent **out, int *h_error)
{
	int rc;

	if (names_is_home(name) || is_number(name) || (family != AF_INET && family != AF_INET6 &&
						       family != AF_UNSPEC))
		return family == AF_UNSPEC
			       ? real(gethostbyname_r)(name, host, buf, room, out, h_error)
			       : real(gethostbyname2_r)(name, family, host, buf, room, out, h_error);
	rc = look_up(name, family == AF_UNSPEC ? AF_INET : family, host, buf, room, h_error);
	*out = rc == 0 && *h_error == NETDB_SUCCESS ? host : NULL;
	return rc;
}

struct hostent *tp_gethostbyname(const char *name, int family)
{
	/* As with libc the next call overwrites it; only in the same thread, though. */
	static _Thread_local struct hostent host;
	static _Thread_local char buf[3 * sizeof(char *) + 16 + 256 + sizeof(char *)];

	if (names_is_home(name) || is_number(name) || (family != AF_INET && family != AF_INET6 &&
						       family != AF_UNSPEC))
		return family == AF_UNSPEC ? real(gethostbyname)(name)
					   : real(gethostbyname2)(name, family);
	if (look_up(name, family == AF_UNSPEC ? AF_INET : family, &host, buf, sizeof buf,
		    &h_errno) != 0 ||
	    h_errno != NETDB_SUCCESS)
		return NULL;
	return &host;
}
