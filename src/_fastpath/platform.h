/* Where systems differ: which kernel interfaces are used, and names that only one of them has.
 *
 * Called by: every file that makes system calls.  Owns: nothing.  Never: code.
 *
 * -DTELEPRESENCE_PORTABLE builds on Linux what other systems get, so that its tests run here too;
 * they bring a kqueue(2). */
#ifndef TELEPRESENCE_PLATFORM_H
#define TELEPRESENCE_PLATFORM_H

#include <sys/socket.h>

#if defined(__linux__) && !defined(TELEPRESENCE_PORTABLE)
#define PLATFORM_LINUX 1 /* eventfd(2), splice(2), accept4(2) */
#else
#define PLATFORM_LINUX 0 /* POSIX alone: socketpair(3), recv(2) and send(2), fcntl(2) */
#endif

/* A hint; without it the bytes leave a little sooner. */
#ifndef MSG_MORE
#define MSG_MORE 0
#endif

/* Older macOS has SO_NOSIGPIPE instead, which socket_prepare() sets. */
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

#endif
