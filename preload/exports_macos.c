/* Names of macOS's libSystem that other systems do not have.
 *
 * Called by: the program and its libraries, through dyld's table (export.h).
 * Owns: nothing.  Never: lets a connection out that connect(2) would not. */
#ifdef __APPLE__
#include <errno.h>
#include <sys/socket.h>

#include "export.h"
#include "home.h"
#include "hooks.h"
#include "real.h"

/* connectx(2) without its extras is connect(2).  With bytes to send along, or from an address of
 * the laptop's choice, it could not be the pod's connection. */
EXPORT(int, connectx)(int fd, const sa_endpoints_t *ends, sae_associd_t association, unsigned flags,
		      const struct iovec *parts, unsigned n, size_t *sent, sae_connid_t *connection)
{
	if (ends == NULL || ends->sae_dstaddr == NULL ||
	    (ends->sae_dstaddr->sa_family != AF_INET && ends->sae_dstaddr->sa_family != AF_INET6) ||
	    home_is(ends->sae_dstaddr, ends->sae_dstaddrlen))
		return real(connectx)(fd, ends, association, flags, parts, n, sent, connection);
	if (flags != 0 || (parts != NULL && n > 0) || ends->sae_srcaddr != NULL) {
		errno = EOPNOTSUPP;
		return -1;
	}
	if (sent != NULL)
		*sent = 0;
	if (connection != NULL)
		*connection = SAE_CONNID_ANY;
	return tp_connect(fd, ends->sae_dstaddr, ends->sae_dstaddrlen);
}
#endif
