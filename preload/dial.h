/* TCP connections through the SOCKS server.
 *
 * Called by: hooks.c, wait_*.c.
 * Owns: nothing.  Never: a program's socket, whose flags and options are afterwards as they were; a
 * message to anybody; exit.
 *
 * Functions that return an errno leave `errno` itself undefined: the export puts it right. */
#ifndef TELEPRESENCE_PRELOAD_DIAL_H
#define TELEPRESENCE_PRELOAD_DIAL_H

#include <stdbool.h>
#include <sys/socket.h>

/* connect(2) of a TCP socket to a target that is not this machine: 0 or -errno.  -EINPROGRESS as
 * connect(2) has it: dial_settle() and the hooks that call it bring the end. */
int dial_connect(int fd, const struct sockaddr *target, socklen_t len);

/* What has become of the connect: 0 it is done or the socket is not ours, -EALREADY the answer is
 * not there (never with `wait`), else its failure, which is told once; -EINTR as connect(2). */
int dial_settle(int fd, bool wait);

/* As dial_settle() without waiting, and a failure stays to be told.  -EALREADY also while another
 * thread looks. */
int dial_look(int fd);

/* connect(2) itself has told that fd is connected: from now on it says EISCONN. */
void dial_announced(int fd);

#endif
