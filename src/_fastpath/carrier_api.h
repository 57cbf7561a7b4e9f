/* A carrier that is a port-forward by the API server itself: TLS, SPDY, no kubectl between.
 *
 * Called by: apiserver.pyx until the tunnel has it, then tunnel.c through carrier.h.
 * Owns: the descriptor, from apiserver_open() on, and its TLS state.
 * Never: blocks; builds or judges an HTTP request (Python does). */
#ifndef TELEPRESENCE_CARRIER_API_H
#define TELEPRESENCE_CARRIER_API_H

#include <openssl/ssl.h>

#include "carrier.h"
#include "spdy.h"

enum {
	APISERVER_HEAD_MAX = 16 * 1024,
	/* The other end copies a frame as a whole: larger ones only wait longer. */
	APISERVER_STAGE = 32 * 1024,
};

/* Whom to believe and who we are: paths of PEM files, or NULL. */
struct apiserver_trust {
	const char *name; /* what the certificate must name: a host or an address */
	const char *ca_file; /* NULL: what the system believes */
	const char *cert_file, *key_file;
	int verify;
};

struct apiserver {
	struct carrier carrier; /* first */
	struct spdy spdy;
	SSL *ssl;
	bool wants_write; /* why the last call said -EAGAIN */
	bool ended;
	size_t start, end; /* of what is staged */
	uint8_t stage[APISERVER_STAGE];
	size_t head_len;
	char head[APISERVER_HEAD_MAX];
	char error[256];
};

/* A connection whose TLS is still to be shaken; takes `fd`, a non-blocking connected socket.
 * NULL: `error` (of `room` bytes) says which file is no good. */
struct apiserver *apiserver_open(int fd, const struct apiserver_trust *trust, char *error, size_t room);
void apiserver_close(struct apiserver *api);

/* Each: 0 or more when done, -EAGAIN, or -EPROTO with `error` set. */
int apiserver_handshake(struct apiserver *api);
/* Bytes outside the data stream: the HTTP request, the opening of the streams. */
ssize_t apiserver_say(struct apiserver *api, const uint8_t *data, size_t len);
/* The answer up to and with its empty line is in `head`, `head_len` bytes. */
int apiserver_take_head(struct apiserver *api);

#endif
