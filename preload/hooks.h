/* What the exported functions do: each tp_x() is libc's x() for a program that is in the pod.
 *
 * Called by: exports.c, one line each.  waits.h has those that wait.
 * Owns: nothing.  Never: prints, exits, aborts; success leaves errno as it was. */
#ifndef TELEPRESENCE_PRELOAD_HOOKS_H
#define TELEPRESENCE_PRELOAD_HOOKS_H

#include <netdb.h>
#include <sys/socket.h>

/* hooks.c */
int tp_connect(int fd, const struct sockaddr *addr, socklen_t len);
int tp_getpeername(int fd, struct sockaddr *addr, socklen_t *len);
int tp_getsockopt(int fd, int level, int option, void *value, socklen_t *len);
int tp_close(int fd);
int tp_dup(int fd);
int tp_dup2(int fd, int to);
int tp_dup3(int fd, int to, int flags);
/* After fcntl(F_DUPFD) made `to`, which is also what it returns. */
int tp_copied(int fd, int to);
/* Before a read or write: 0 go on, or -1 with errno.  flags: MSG_* of send(2). */
int tp_settle_io(int fd, int flags);

/* names.c */
int tp_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		   struct addrinfo **out);

/* hosts.c; family AF_UNSPEC: gethostbyname(). */
struct hostent *tp_gethostbyname(const char *name, int family);
int tp_gethostbyname_r(const char *name, int family, struct hostent *host, char *buf, size_t room,
		       struct hostent **out, int *h_error);

/* True: libc answers for this name, without asking the network. */
int names_is_home(const char *name);

#endif
