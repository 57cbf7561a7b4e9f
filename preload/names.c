#include <errno.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "dial.h"
#include "hooks.h"
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
	plain.ai_flags = (plain.ai_flags & ~AI_ADDRCONFIG) | AI_NUMERICHOST;
	return real(getaddrinfo)(text, service, &plain, out);
}

/* The name that was asked for, where libc has put the address. */
static int set_canonical(struct addrinfo *list, const char *name)
{
	char *copy = strdup(name);

	if (copy == NULL) {
		freeaddrinfo(list);
		return EAI_MEMORY;
	}
	free(list->ai_canonname); /* freeaddrinfo(3) frees it apart from its entry */
	list->ai_canonname = copy;
	return 0;
}

static int in_pod(const char *name, const char *service, const struct addrinfo *hints,
		  struct addrinfo **out)
{
	char text[INET6_ADDRSTRLEN];
	struct socks5_addr addr;
	int before = errno, rc = dial_resolve(name, &addr);

	if (rc != 0)
		return rc;
	if (inet_ntop(addr.atyp == SOCKS5_IPV4 ? AF_INET : AF_INET6, addr.host, text,
		      sizeof text) == NULL)
		return EAI_FAIL;
	rc = from_text(text, service, hints, out);
	if (rc == EAI_ADDRFAMILY)
		rc = EAI_NODATA; /* the name exists, with an address of the other family */
	if (rc == 0 && (*out)->ai_canonname != NULL)
		rc = set_canonical(*out, name);
	if (rc == 0)
		errno = before;
	return rc;
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
