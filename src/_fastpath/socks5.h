/* SOCKS5 with Tor's extensions: bytes to values and back, nothing else.
 *
 * Called by: server.c, request.c (both roles of the engine) and the preloaded shim.
 * Owns: nothing; every buffer belongs to the caller.
 * Never: touches a socket, allocates, logs, keeps state between calls.
 *
 * Every socks5_take_* reads a complete message from the front of `buf`:
 *   > 0      bytes eaten, `*out` is filled
 *   0        incomplete, feed more (nothing eaten)
 *   -EPROTO  not this message; for requests `socks5_reply_for()` names the reply code
 * Every socks5_make_* writes a message into `buf` and returns its length, or -ENOBUFS.
 *
 * Sources: RFC 1928 (SOCKS5), RFC 1929 (user name and password), Tor's socks-extensions.txt
 * (RESOLVE 0xF0, RESOLVE_PTR 0xF1).  0xF2 and 0xF3 are ours and exist inside the tunnel only; so is
 * 0xF4, which never gets there. */
#ifndef TELEPRESENCE_SOCKS5_H
#define TELEPRESENCE_SOCKS5_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum socks5_method { SOCKS5_NO_AUTH = 0x00, SOCKS5_USERPASS = 0x02, SOCKS5_NO_ACCEPTABLE = 0xFF };

enum socks5_cmd {
	SOCKS5_CONNECT = 0x01,
	SOCKS5_BIND = 0x02,
	SOCKS5_UDP_ASSOCIATE = 0x03,
	SOCKS5_RESOLVE = 0xF0,
	SOCKS5_RESOLVE_PTR = 0xF1,
	SOCKS5_LISTEN = 0xF2,  /* ours: listen in the pod */
	SOCKS5_SERVICE = 0xF3, /* ours: a named service of the agent, ATYP domain */
	SOCKS5_UDP_CONNECT = 0xF4, /* ours: UDP ASSOCIATE with one target, without headers */
};

enum socks5_atyp { SOCKS5_IPV4 = 0x01, SOCKS5_DOMAIN = 0x03, SOCKS5_IPV6 = 0x04 };

/* The port of a RESOLVE, which Tor's server does not read: which addresses, and that the client takes
 * all of them, each in a reply of its own until the end of the stream.  0: one, as Tor has it. */
enum socks5_want { SOCKS5_WANT_IPV4 = 4, SOCKS5_WANT_IPV6 = 6, SOCKS5_WANT_ALL = 46 };

/* RFC 1928 section 6; 0x06 also stands for a connect that timed out. */
enum socks5_reply {
	SOCKS5_SUCCEEDED = 0x00,
	SOCKS5_GENERAL_FAILURE = 0x01,
	SOCKS5_NOT_ALLOWED = 0x02,
	SOCKS5_NET_UNREACHABLE = 0x03,
	SOCKS5_HOST_UNREACHABLE = 0x04,
	SOCKS5_REFUSED = 0x05,
	SOCKS5_TTL_EXPIRED = 0x06,
	SOCKS5_BAD_COMMAND = 0x07,
	SOCKS5_BAD_ATYP = 0x08,
	SOCKS5_IN_USE = 0x80, /* ours, of LISTEN: the port is taken */
};

enum {
	SOCKS5_GREETING_MAX = 2 + 255,
	SOCKS5_USERPASS_MAX = 3 + 255 + 255,
	SOCKS5_REQUEST_MAX = 4 + 1 + 255 + 2,
	SOCKS5_REPLY_MAX = SOCKS5_REQUEST_MAX,
	SOCKS5_DATAGRAM_HEAD_MAX = SOCKS5_REQUEST_MAX,
};

/* An address as RFC 1928 section 5 carries it.  `host` holds `host_len` bytes: 4, 16 in network
 * order, or a name of 1..255 bytes, which is not NUL-terminated on the wire but is here. */
struct socks5_addr {
	uint8_t atyp;
	uint8_t host_len;
	uint16_t port; /* host order */
	uint8_t host[256];
};

struct socks5_greeting {
	uint8_t n_methods;
	uint8_t methods[255];
};

struct socks5_userpass {
	uint8_t user_len, pass_len;
	uint8_t user[256], pass[256]; /* NUL-terminated here */
};

struct socks5_request {
	uint8_t cmd;
	struct socks5_addr addr;
};

struct socks5_answer {
	uint8_t code; /* enum socks5_reply, or a code that RFC 1928 leaves unassigned */
	struct socks5_addr addr;
};

/* Server side. */
ssize_t socks5_take_greeting(const uint8_t *buf, size_t len, struct socks5_greeting *out);
ssize_t socks5_take_userpass(const uint8_t *buf, size_t len, struct socks5_userpass *out);
ssize_t socks5_take_request(const uint8_t *buf, size_t len, struct socks5_request *out);
/* The reply code that a request refused with -EPROTO deserves: bad ATYP 0x08, else 0x01. */
uint8_t socks5_reply_for(const uint8_t *buf, size_t len);
ssize_t socks5_make_method(uint8_t *buf, size_t room, uint8_t method);
ssize_t socks5_make_userpass_status(uint8_t *buf, size_t room, uint8_t status);
/* `addr` NULL stands for 0.0.0.0:0. */
ssize_t socks5_make_reply(uint8_t *buf, size_t room, uint8_t code, const struct socks5_addr *addr);

/* Client side. */
ssize_t socks5_make_greeting(uint8_t *buf, size_t room, const uint8_t *methods, uint8_t n_methods);
ssize_t socks5_make_userpass(uint8_t *buf, size_t room, const uint8_t *user, uint8_t user_len,
			     const uint8_t *pass, uint8_t pass_len);
ssize_t socks5_make_request(uint8_t *buf, size_t room, uint8_t cmd, const struct socks5_addr *addr);
ssize_t socks5_take_method(const uint8_t *buf, size_t len, uint8_t *method);
ssize_t socks5_take_userpass_status(const uint8_t *buf, size_t len, uint8_t *status);
ssize_t socks5_take_answer(const uint8_t *buf, size_t len, struct socks5_answer *out);

/* The header before a datagram's payload, RFC 1928 section 7, for both sides.  A datagram is whole, so
 * take returns the header's length or -EPROTO: cut off, no such header, or a fragment. */
ssize_t socks5_take_datagram(const uint8_t *buf, size_t len, struct socks5_addr *out);
ssize_t socks5_make_datagram(uint8_t *buf, size_t room, const struct socks5_addr *addr);

/* errno of a failed connect <-> reply code, as the two ends of the tunnel agree on them. */
uint8_t socks5_reply_from_errno(int error);
int socks5_errno_from_reply(uint8_t code);

#endif
