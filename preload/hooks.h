/* What the exported functions do: each tp_x() is libc's x() for a program that is in the pod.
 *
 * Called by: exports*.c, one line each.  waits.h has those that wait, io.h those that move bytes.
 * Owns: nothing.  Never: prints, exits, aborts; success leaves errno as it was. */
#ifndef TELEPRESENCE_PRELOAD_HOOKS_H
#define TELEPRESENCE_PRELOAD_HOOKS_H

#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

/* hooks.c */
int tp_connect(int fd, const struct sockaddr *addr, socklen_t len);
int tp_getpeername(int fd, struct sockaddr *addr, socklen_t *len);
int tp_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
int tp_getsockopt(int fd, int level, int option, void *value, socklen_t *len);
int tp_close(int fd);
int tp_dup(int fd);
int tp_dup2(int fd, int to);
int tp_dup3(int fd, int to, int flags);
/* After fcntl(F_DUPFD) made `to`, which is also what it returns. */
int tp_copied(int fd, int to);
int tp_close_range(unsigned first, unsigned last, int flags);
int tp_listen(int fd, int backlog);
/* Before fclose(3). */
void tp_closing(FILE *stream);

/* names.c */
int tp_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		   struct addrinfo **out);

int tp_getnameinfo(const struct sockaddr *addr, socklen_t len, char *host, socklen_t host_len,
		   char *service, socklen_t service_len, int flags);

/* hosts.c; family AF_UNSPEC: gethostbyname(). */
struct hostent *tp_gethostbyname(const char *name, int family);
int tp_gethostbyname_r(const char *name, int family, struct hostent *host, char *buf, size_t room,
		       struct hostent **out, int *h_error);

struct hostent *tp_gethostbyaddr(const void *addr, socklen_t len, int family);
int tp_gethostbyaddr_r(const void *addr, socklen_t len, int family, struct hostent *host, char *buf,
		       size_t room, struct hostent **out, int *h_error);

/* True: libc answers for this name, without asking the network. */
int names_is_home(const char *name);

#endif
