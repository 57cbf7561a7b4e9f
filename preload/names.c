#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "home.h"
#include "hooks.h"
#include "lookup.h"
#include "platform.h"
#include "real.h"

static bool ends_with(const char *name, size_t len, const char *end)
{
	size_t end_len = strlen(end);

	return len > end_len && strncasecmp(name + len - end_len, end, end_len) == 0;
}

/* RFC 6761 section 6.3 for localhost; the others as hosts(5) of Debian and Fedora name them.  The
 * laptop's own name is unknown in the pod, and programs ask for it at their start. */
int names_is_home(const char *name)
{
	static const char *const homes[] = {"localhost", "localhost.localdomain", "ip6-localhost",
					    "ip6-loopback"};
	char host[256];
	size_t len = strlen(name);

	if (len > 0 && name[len - 1] == '.')
		len--;
	for (size_t i = 0; i < sizeof homes / sizeof *homes; i++)
		if (strlen(homes[i]) == len && strncasecmp(name, homes[i], len) == 0)
			return true;
	if (ends_with(name, len, ".localhost"))
		return true;
	if (gethostname(host, sizeof host) == -1)
		return false;
	host[sizeof host - 1] = '\0';
	return strlen(host) == len && strncasecmp(name, host, len) == 0;
}

/* libc's list for an address in text: socket types, protocols and services are its business. */
static int from_text(const char *text, const char *service, const struct addrinfo *hints,
		     struct addrinfo **out)
{
	struct addrinfo plain = {.ai_family = AF_UNSPEC, .ai_flags = AI_V4MAPPED};

	if (hints != NULL)
		plain = (struct addrinfo){.ai_flags = hints->ai_flags,
					  .ai_family = hints->ai_family,
					  .ai_socktype = hints->ai_socktype,
					  .ai_protocol = hints->ai_protocol};
	/* Which families there are is the pod's affair, not the laptop's. */
	plain.ai_flags = (plain.ai_flags & ~(AI_ADDRCONFIG | AI_IDN | AI_CANONIDN)) | AI_NUMERICHOST;
	return real(getaddrinfo)(text, service, &plain, out);
}

/* The name that was asked for, where libc has put the address. */
static int set_canonical(struct addrinfo *list, const char *name)
{
	char *copy = strdup(name);

	if (copy == NULL)
		return EAI_MEMORY;
	free(list->ai_canonname); /* freeaddrinfo(3) frees it apart from its entry */
	list->ai_canonname = copy;
	return 0;
}

/* Only the first entry of a list has the name (getaddrinfo(3)). */
static void drop_canonical(struct addrinfo *list)
{
	free(list->ai_canonname);
	list->ai_canonname = NULL;
}

/* One address behind those that are there already; one of the other family adds nothing. */
static int append(const struct socks5_addr *addr, const char *service, const struct addrinfo *hints,
		  struct addrinfo ***end)
{
	char text[INET6_ADDRSTRLEN];
	int rc;

	if (inet_ntop(addr->atyp == SOCKS5_IPV4 ? AF_INET : AF_INET6, addr->host, text,
		      sizeof text) == NULL)
		return EAI_FAIL;
	rc = from_text(text, service, hints, *end);
	if (rc == EAI_ADDRFAMILY)
		return 0;
	while (rc == 0 && **end != NULL)
		*end = &(**end)->ai_next;
	return rc;
}

/* Which addresses to ask for: IPv4 too where it will be mapped for want of IPv6. */
static int family_asked(const struct addrinfo *hints)
{
	if (hints == NULL || (hints->ai_family == AF_INET6 && (hints->ai_flags & AI_V4MAPPED) != 0))
		return AF_UNSPEC;
	return hints->ai_family;
}

/* AI_V4MAPPED without AI_ALL: mapped ones only where there is no IPv6 address. */
static bool mapped_only_for_want(const struct addrinfo *hints, const struct socks5_addr *found,
				 int n)
{
	if (hints == NULL || hints->ai_family != AF_INET6 || (hints->ai_flags & AI_ALL) != 0)
		return false;
	for (int i = 0; i < n; i++)
		if (found[i].atyp == SOCKS5_IPV6)
			return true;
	return false;
}

static int in_pod(const char *name, const char *service, const struct addrinfo *hints,
		  struct addrinfo **out)
{
	struct socks5_addr found[LOOKUP_MAX];
	struct addrinfo *list = NULL, **end = &list;
	int before = errno, n = lookup_addresses(name, family_asked(hints), found), rc = 0;
	bool ipv6_only = mapped_only_for_want(hints, found, n);

	if (n < 0)
		return n;
	for (int i = 0; i < n && rc == 0; i++)
		if (!ipv6_only || found[i].atyp == SOCKS5_IPV6)
			rc = append(&found[i], service, hints, &end);
	if (rc == 0 && list == NULL)
		rc = EAI_NODATA; /* the name exists, with addresses of the other family */
	for (struct addrinfo *at = list; at != NULL && rc == 0; at = at->ai_next)
		if (at != list)
			drop_canonical(at);
		else if (at->ai_canonname != NULL)
			rc = set_canonical(at, name);
	if (rc != 0 && list != NULL)
		freeaddrinfo(list);
	if (rc != 0)
		return rc;
	*out = list;
	errno = before;
	return 0;
}

int tp_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		   struct addrinfo **out)
{
	int before = errno, rc;

	if (name == NULL || names_is_home(name))
		return real(getaddrinfo)(name, service, hints, out);
	/* Anything but "not a number" is libc's last word: an address, or wrong arguments. */
	rc = from_text(name, service, hints, out);
	if (rc != EAI_NONAME || (hints != NULL && (hints->ai_flags & AI_NUMERICHOST) != 0))
		return rc;
	errno = before;
	return in_pod(name, service, hints, out);
}

/* The host's part, asked of the pod; 0 or an EAI_*. */
static int name_in_pod(const struct sockaddr *addr, int flags, char *host, socklen_t room)
{
	struct socks5_addr asked;
	char name[256];
	int rc;

	home_addr(addr, &asked);
	rc = lookup_name(&asked, name);
	if (rc != 0)
		return rc;
	if ((flags & NI_NOFQDN) != 0)
		name[strcspn(name, ".")] = '\0';
	if (strlen(name) >= room)
		return EAI_OVERFLOW;
	strcpy(host, name);
	return 0;
}

int tp_getnameinfo(const struct sockaddr *addr, socklen_t len, char *host, socklen_t host_len,
		   char *service, socklen_t service_len, int flags)
{
	int before = errno, rc;

	if (host == NULL || host_len == 0 || (flags & NI_NUMERICHOST) != 0 || addr == NULL ||
	    len < sizeof addr->sa_family ||
	    (addr->sa_family != AF_INET && addr->sa_family != AF_INET6) || home_is(addr, len))
		return real(getnameinfo)(addr, len, host, host_len, service, service_len, flags);
	rc = name_in_pod(addr, flags, host, host_len);
	if (rc != 0 && (rc != EAI_NONAME || (flags & NI_NAMEREQD) != 0))
		return rc;
	errno = before;
	if (rc == 0 && (service == NULL || service_len == 0))
		return 0;
	/* libc has the service, and the number where there is no name. */
	return real(getnameinfo)(addr, len, rc == 0 ? NULL : host, rc == 0 ? 0 : host_len, service,
				 service_len, flags | NI_NUMERICHOST);
}
