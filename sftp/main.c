/* telepresence-sftp TIMEOUT_S [VOLUME ...]
 *
 * Stands between sshfs, a socket on standard input, and the tunnel, a socket on standard output.
 *
 * Called by: src/telepresence/volumes/sshfs.py.  Owns: nothing but its memory.
 * Never: opens a file or a connection. */
#include "ahead.h"
#include "onward.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	char *end = NULL;
	struct relay r = { .client = 0, .server = 1 };
	r.timeout_s = argc > 1 ? strtod(argv[1], &end) : 0;
	if (r.timeout_s <= 0 || *end != '\0') {
		fprintf(stderr, "usage: telepresence-sftp TIMEOUT_S [VOLUME ...]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN); /* macOS, whose send() cannot be told */
	r.ahead = ahead_open(&r, argv + 2);
	r.onward = onward_open(&r);
	return relay_run(&r);
}
