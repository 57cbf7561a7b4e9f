/* What the shim was told: bytes of the settings file to a value.
 *
 * Called by: shim.c (once, at load) and the cffi doorway (ffi.py), which checks files before use.
 * Owns: nothing.  Never: opens a file, allocates, logs.
 *
 * The format is that of torsocks.conf(5): a key and a value a line, `#` starts a comment.  Keys of
 * torsocks that mean nothing here are accepted; any other key, and any bad value, is an error, as
 * guessing could send a connection to the wrong network. */
#ifndef TELEPRESENCE_PRELOAD_SETTINGS_H
#define TELEPRESENCE_PRELOAD_SETTINGS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SETTINGS_FILE_MAX = 16384, SETTINGS_SEARCH_MAX = 1024 };

/* AllowOutboundLocalhost of torsocks.conf(5). */
enum settings_localhost { LOCALHOST_REFUSED, LOCALHOST_ALL, LOCALHOST_TCP };

struct settings {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} server; /* TorAddress (127.0.0.1 when absent), TorPort (required) */
	bool pipeline; /* TelepresencePipeline: the server takes all messages in one piece */
	bool inbound;  /* AllowInbound: listen(2) on more than loopback; true when absent */
	bool isolate;  /* IsolatePID: a user name of its own for each process */
	uint8_t localhost; /* AllowOutboundLocalhost; LOCALHOST_ALL when absent */
	uint8_t onion_bits;
	uint32_t onion_net; /* OnionAddrRange, host order: stands for names that have no address */
	uint8_t ndots; /* TelepresenceNdots: of the pod's resolv.conf(5); 1 when absent */
	uint8_t user_len, pass_len; /* user_len 0: no authentication */
	uint8_t user[255], pass[255];
	char search[SETTINGS_SEARCH_MAX]; /* TelepresenceSearch, each: the pod's, words and blanks */
};

/* Returns 0, or the number of the first line that is wrong; one past the last line stands for
 * something that is missing.  `out` is undefined unless 0. */
int settings_parse(const char *text, size_t len, struct settings *out);

/* A name and a password from elsewhere (TORSOCKS_USERNAME, TORSOCKS_PASSWORD) in place of the
 * file's.  False: they cannot be sent. */
bool settings_login(struct settings *settings, const char *user, const char *pass);

#endif
