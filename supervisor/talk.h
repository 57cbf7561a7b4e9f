/* A SOCKS exchange over a socket that does not wait.
 *
 * Called by: dial.c (a program's socket), association.c, names.c (sockets of our own).
 * Owns: nothing.  Never: waits; reads a byte that follows the answer. */
#ifndef TELEPRESENCE_SUPERVISOR_TALK_H
#define TELEPRESENCE_SUPERVISOR_TALK_H

#include "handshake.h"
#include "loop.h"

struct talk {
	const struct settings *settings;
	struct handshake shake;
	size_t sent, until; /* of shake: what is to be sent before the next answer */
	size_t got, need;   /* of replies */
	uint8_t replies[HANDSHAKE_REPLIES_MAX];
	struct socks5_answer answer;
};

/* 0 or -ENOBUFS. */
int talk_begin(struct talk *talk, const struct settings *settings, uint8_t cmd,
	       const struct socks5_addr *addr);

/* connect(2) of a socket of this family to the server, which does not wait, whatever the owner of the
 * socket chose: 0, EINPROGRESS (writable: call it again) or another errno. */
int talk_reach(const struct settings *settings, int fd, int family);

/* When the socket is ready, as far as it gets: 1 it is over, with the answer; 0 with `*events` to wait
 * for; -errno of the exchange, as connect(2) has it. */
int talk_go_on(struct talk *talk, int fd, uint32_t *events);

/* A socket of our own, already on its way, with the EPOLL* events to wait for; -errno. */
int talk_open(struct talk *talk, const struct settings *settings, uint8_t cmd,
	      const struct socks5_addr *addr, uint32_t *events);

#endif
