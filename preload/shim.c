/* What happens when the shim is loaded: the settings are read, once.
 *
 * Called by: the dynamic linker.  Owns: the settings.
 * Never: fails: without valid settings there is no way out of this machine (shim_settings NULL). */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "exec.h"
#include "flows.h"
#include "label.h"
#include "log.h"
#include "mirror.h"
#include "platform.h"
#include "real.h"
#include "shim.h"
#include "waits.h"

static struct settings settings;
const struct settings *shim_settings;

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

/* torsocks(1): a Tor server keeps apart what has different names.  False: there are two of them. */
static bool log_in(struct settings *out)
{
	const char *user = getenv("TORSOCKS_USERNAME"), *pass = getenv("TORSOCKS_PASSWORD");
	char own[64];

	if (user != NULL || pass != NULL)
		return user != NULL && pass != NULL && !out->isolate &&
		       settings_login(out, user, pass);
	if (!out->isolate)
		return true;
	(void)snprintf(own, sizeof own, "telepresence-%d:%lld", (int)getpid(), (long long)time(NULL));
	return settings_login(out, own, "0");
}

__attribute__((constructor)) static void shim_load(void)
{
	/* On the stack: it holds a password that would otherwise stay in memory twice. */
	char text[SETTINGS_FILE_MAX + 1];
	const char *path = getenv("TORSOCKS_CONF_FILE");
	int before = errno, line = 0;
	ssize_t len;

	flows_adopt();
	waits_prepare();
	log_prepare();
	exec_prepare();
#ifdef __APPLE__
	mirror_prepare();
#endif
	len = path == NULL ? -1 : slurp(path, text, sizeof text);
	if (len >= 0)
		line = settings_parse(text, (size_t)len, &settings);
	if (len >= 0 && line == 0 && log_in(&settings)) {
		shim_settings = &settings;
		label_prepare(path);
	} else
		log_closed(path, line);
	/* No more than was read: every page of the rest would be a page fault in each process. */
	platform_wipe(text, len < 0 ? sizeof text : (size_t)len);
	errno = before;
}
