#include "facts.h"

#ifdef __APPLE__

#include <libproc.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* libproc.h, sys/proc_info.h: of one's own process nobody may be kept from asking. */
static bool ask(int fd, struct socket_info *out)
{
	struct socket_fdinfo info;

	memset(&info, 0, sizeof info);
	if (proc_pidfdinfo(getpid(), fd, PROC_PIDFDSOCKETINFO, &info, sizeof info) <
	    (int)sizeof info)
		return false;
	*out = info.psi;
	return true;
}

int facts_family(int fd)
{
	struct socket_info info;

	return ask(fd, &info) ? info.soi_family : AF_UNSPEC;
}

int facts_protocol(int fd)
{
	struct socket_info info;

	return ask(fd, &info) ? info.soi_protocol : 0;
}

/* fstat(2) has no inode for a socket here.  The places of the socket and of its protocol's part in
 * the kernel stay what they are while it is open; a later one may have both again, but all ways to
 * close a descriptor come by here.  The count of sockets (insi_gencnt) would tell them apart, but it
 * changes when a connection dies: xnu, bsd/netinet/in_pcb.c, in_pcbdetach. */
uint64_t facts_identity(int fd)
{
	struct socket_info info;

	return ask(fd, &info) ? (info.soi_so ^ info.soi_pcb << 1) | 1 : 0;
}

#endif
