/* What the shim did, for somebody who looks for a fault: lines in a file, never on the terminal.
 *
 * Called by: hooks.c, shim.c.
 * Owns: nothing: the file is opened for each line, as programs close descriptors that they do not
 * know.  Never: writes unless TORSOCKS_LOG_FILE_PATH names a file; a secret.
 *
 * TORSOCKS_LOG_LEVEL is torsocks(1)'s: 1 nothing, 2 errors, 3 warnings (when it is not set), 4 what
 * could not be reached, 5 every connection. */
#ifndef TELEPRESENCE_PRELOAD_LOG_H
#define TELEPRESENCE_PRELOAD_LOG_H

#include <sys/socket.h>

/* At load. */
void log_prepare(void);
/* Without valid settings; line: of the file, 0 when it could not be read. */
void log_closed(const char *path, int line);
/* rc: 0, or -errno of a connect to `to`. */
void log_connect(int kind, const struct sockaddr *to, int rc);

#endif
