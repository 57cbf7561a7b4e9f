/* What happens when the shim is loaded: the settings are read, once.
 *
 * Called by: the dynamic linker.  Owns: the settings.
 * Never: fails: without valid settings there is no way out of this machine (dial_settings NULL). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dial.h"
#include "flows.h"
#include "real.h"
#include "waits.h"

static struct settings settings;

/* Bytes of the file in `text`, or -1. */
static ssize_t slurp(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = -1;

	if (fd == -1)
		return -1;
	while (len < room) {
		n = real(read)(fd, text + len, room - len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	real(close)(fd);
	return n == 0 ? (ssize_t)len : -1; /* -1 also for a file that is too long */
}

__attribute__((constructor)) static void shim_load(void)
{
	/* On the stack: it holds a password that would otherwise stay in memory twice. */
	char text[SETTINGS_FILE_MAX + 1];
	const char *path = getenv("TORSOCKS_CONF_FILE");
	int before = errno;
	ssize_t len;

	flows_adopt();
	waits_prepare();
	len = path == NULL ? -1 : slurp(path, text, sizeof text);
	if (len >= 0 && settings_parse(text, (size_t)len, &settings) == 0)
		dial_settings = &settings;
	explicit_bzero(text, sizeof text);
	errno = before;
}
