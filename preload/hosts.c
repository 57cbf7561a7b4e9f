#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "home.h"
#include "hooks.h"
#include "lookup.h"
#include "real.h"

/* For LOOKUP_MAX addresses and a name of 255 bytes. */
enum { HOST_ROOM = (LOOKUP_MAX + 3) * sizeof(char *) + LOOKUP_MAX * 16 + 256 };

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

/* Lists of pointers, the bytes behind them, the name: ERANGE if no room.  All of one family. */
static int pack(const char *name, const struct socks5_addr *addrs, int n, struct hostent *host,
		char *buf, size_t room)
{
	size_t skip = -(uintptr_t)buf % sizeof(char *), name_len = strlen(name) + 1;
	size_t n_lists = (size_t)n + 2, width = addrs[0].host_len;
	char **lists = (char **)(void *)(buf + skip);
	char *bytes = buf + skip + n_lists * sizeof(char *);

	if (room < skip + n_lists * sizeof(char *) + (size_t)n * width + name_len)
		return ERANGE;
	for (int i = 0; i < n; i++) {
		lists[i] = bytes;
		memcpy(bytes, addrs[i].host, width);
		bytes += width;
	}
	lists[n] = NULL;
	lists[n + 1] = NULL; /* no aliases */
	memcpy(bytes, name, name_len);
	*host = (struct hostent){
		.h_name = bytes,
		.h_aliases = lists + n + 1,
		.h_addrtype = addrs[0].atyp == SOCKS5_IPV4 ? AF_INET : AF_INET6,
		.h_length = (int)width,
		.h_addr_list = lists,
	};
	return 0;
}

/* A failed lookup as the *_r functions return it: an errno, with *h_error.  libc leaves the same in
 * h_errno, where Python looks for it. */
static int failed(int eai, int *h_error)
{
	*h_error = h_errno = h_error_from(eai);
	return eai == EAI_SYSTEM ? errno : eai == EAI_AGAIN ? EAGAIN : 0;
}

/* Looks up and packs.  0, or an errno with *h_error. */
static int look_up(const char *name, int family, struct hostent *host, char *buf, size_t room,
		   int *h_error)
{
	struct socks5_addr found[LOOKUP_MAX];
	int before = errno, n = lookup_addresses(name, family, found), kept = 0, rc;

	if (n < 0)
		return failed(n, h_error);
	for (int i = 0; i < n; i++)
		if ((found[i].atyp == SOCKS5_IPV4) == (family == AF_INET))
			found[kept++] = found[i];
	if (kept == 0) {
		*h_error = NO_DATA;
		return 0;
	}
	rc = pack(name, found, kept, host, buf, room);
	*h_error = rc == 0 ? NETDB_SUCCESS : NETDB_INTERNAL;
	errno = rc == 0 ? before : rc;
	return rc;
}

#ifdef __linux__
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
#endif

struct hostent *tp_gethostbyname(const char *name, int family)
{
	/* As with libc the next call overwrites it; only in the same thread, though. */
	static _Thread_local struct hostent host;
	static _Thread_local char buf[HOST_ROOM];

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

/* True: `asked` is an address whose name the pod knows, if anybody. */
static bool is_foreign(const void *addr, socklen_t len, int family, struct socks5_addr *asked)
{
	struct sockaddr_storage place;
	socklen_t place_len;

	if (addr == NULL || (family != AF_INET && family != AF_INET6) ||
	    len < (family == AF_INET ? 4 : 16))
		return false;
	*asked = (struct socks5_addr){.atyp = family == AF_INET ? SOCKS5_IPV4 : SOCKS5_IPV6,
				      .host_len = family == AF_INET ? 4 : 16};
	memcpy(asked->host, addr, asked->host_len);
	return home_sockaddr(asked, family, &place, &place_len) &&
	       !home_is((struct sockaddr *)&place, place_len);
}

static int look_up_name(const struct socks5_addr *asked, struct hostent *host, char *buf,
			size_t room, int *h_error)
{
	int before = errno, rc;
	char name[256];

	rc = lookup_name(asked, name);
	if (rc != 0)
		return failed(rc, h_error);
	rc = pack(name, asked, 1, host, buf, room);
	*h_error = rc == 0 ? NETDB_SUCCESS : NETDB_INTERNAL;
	errno = rc == 0 ? before : rc;
	return rc;
}

#ifdef __linux__
int tp_gethostbyaddr_r(const void *addr, socklen_t len, int family, struct hostent *host, char *buf,
		       size_t room, struct hostent **out, int *h_error)
{
	struct socks5_addr asked;
	int rc;

	if (!is_foreign(addr, len, family, &asked))
		return real(gethostbyaddr_r)(addr, len, family, host, buf, room, out, h_error);
	rc = look_up_name(&asked, host, buf, room, h_error);
	*out = rc == 0 && *h_error == NETDB_SUCCESS ? host : NULL;
	return rc;
}
#endif

struct hostent *tp_gethostbyaddr(const void *addr, socklen_t len, int family)
{
	static _Thread_local struct hostent host;
	static _Thread_local char buf[HOST_ROOM];
	struct socks5_addr asked;

	if (!is_foreign(addr, len, family, &asked))
		return real(gethostbyaddr)(addr, len, family);
	if (look_up_name(&asked, &host, buf, sizeof buf, &h_errno) != 0 || h_errno != NETDB_SUCCESS)
		return NULL;
	return &host;
}
