/* The client's half of one SOCKS5 exchange: request to bytes, replies to an outcome.
 *
 * Called by: dial.c, and the cffi doorway for its tests.
 * Owns: nothing.  Never: touches a socket; remembers nothing between calls.
 *
 * The whole exchange is a pure function of the bytes that have come so far.  So whoever holds the
 * socket can look at them (MSG_PEEK) in any thread and at any time, and eat them once, whole. */
#ifndef TELEPRESENCE_PRELOAD_HANDSHAKE_H
#define TELEPRESENCE_PRELOAD_HANDSHAKE_H

#include "settings.h"
#include "socks5.h"

enum {
	HANDSHAKE_SENT_MAX = SOCKS5_GREETING_MAX + SOCKS5_USERPASS_MAX + SOCKS5_REQUEST_MAX,
	HANDSHAKE_REPLIES_MAX = 2 + 2 + SOCKS5_REPLY_MAX,
};

/* Where each message ends; a server that does not pipeline gets them one by one. */
struct handshake {
	size_t greeting_end, userpass_end, request_end; /* userpass_end == greeting_end: no password */
	uint8_t bytes[HANDSHAKE_SENT_MAX];
};

/* 0 or -ENOBUFS. */
int handshake_make(const struct settings *settings, uint8_t cmd, const struct socks5_addr *addr,
		   struct handshake *out);

/* Every handshake_take* reads from the front of `buf`:
 *   > 0     bytes that belong to it, all good
 *   0       incomplete
 *   -errno  what connect(2) should say */

/* The answers to greeting and password.  -EACCES: the server wants another authentication. */
ssize_t handshake_take_welcome(const uint8_t *buf, size_t len, bool with_password);
/* The answer to the request, with `out` filled.  Refused: as RFC 1928 section 6 has it, and
 * out->code is the reply.  Incomplete: *need is the length to come back with, > len. */
ssize_t handshake_take_answer(const uint8_t *buf, size_t len, struct socks5_answer *out,
			      size_t *need);
/* One behind the other. */
ssize_t handshake_take(const uint8_t *buf, size_t len, bool with_password,
		       struct socks5_answer *out, size_t *need);
size_t handshake_welcome_len(bool with_password);

#endif
