/* A SOCKS5 server on a listening socket: through a tunnel, or dialling by itself.
 * A transparent one has no SOCKS; see redirect.h.
 *
 * Called by: engine.pyx (open, close), loop.c (clean-up).
 * Owns: the listening socket, and its clients until their request is complete.
 * Never: resolves or connects; that is the agent's part, or that of request.c and udp_outlet.c.
 *
 * Sources: RFC 1928, RFC 1929.  A client may send greeting, password, request and first data in
 * one piece: each message is taken from the front of what has come. */
#ifndef TELEPRESENCE_SERVER_H
#define TELEPRESENCE_SERVER_H

#include "acceptor.h"
#include "request.h"

struct meant;
struct tunnel;

struct server {
	struct grave grave; /* first */
	struct list node;
	struct acceptor acceptor;
	struct engine *engine;
	struct tunnel *tunnel; /* NULL: dial here */
	uint64_t number;
	bool transparent; /* no SOCKS: where a program meant to go is the request */
	struct meant *meant; /* who knows that; NULL: the kernel */
	bool with_password;
	uint8_t user_len, pass_len, user[255], pass[255];
};

struct client {
	struct grave grave; /* first */
	struct list node;
	struct task task;
	struct timer timer;
	struct poll_item item;
	struct server *server; /* NULL once that is closed */
	struct engine *engine;
	enum { CLIENT_GREETING, CLIENT_PASSWORD, CLIENT_REQUEST, CLIENT_DIALLING } state;
	struct request_job job; /* a server without a tunnel */
	size_t out_len;
	uint8_t out[4 + SOCKS5_REPLY_MAX]; /* method, status, reply */
	size_t len;
	uint8_t buf[2048]; /* the three longest messages are 1,032 bytes; the rest is early data */
};

/* Takes `listener`.  NULL user: no authentication asked.  NULL with errno: still the caller's. */
struct server *server_open(struct engine *engine, int listener, struct tunnel *tunnel,
			   const char *user, const char *pass);
/* Established connections live on. */
void server_close(struct server *server);
void client_close(struct client *client);

#endif
