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

enum { SETTINGS_FILE_MAX = 16384 };

struct settings {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} server; /* TorAddress (127.0.0.1 when absent), TorPort (required) */
	bool pipeline; /* TelepresencePipeline: the server takes all messages in one piece */
	uint8_t user_len, pass_len; /* user_len 0: no authentication */
	uint8_t user[255], pass[255];
};

/* Returns 0, or the number of the first line that is wrong; one past the last line stands for
 * something that is missing.  `out` is undefined unless 0. */
int settings_parse(const char *text, size_t len, struct settings *out);

#endif
