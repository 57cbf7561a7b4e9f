/* A name for a user that /etc/passwd does not know, preloaded into sftp-server, which will not start without.
 *
 * A pod runs as any number that its security context says (OpenShift chooses one for each namespace),
 * and the image's root file system is read-only.
 *
 * Called by: sftp-server(8), through LD_PRELOAD of telepresence.agent.services.
 * Owns: the one entry.  Never: stands in for an entry that exists. */
#include <dlfcn.h>
#include <pwd.h>
#include <stddef.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef struct passwd *(*lookup)(uid_t);

EXPORT struct passwd *getpwuid(uid_t uid)
{
	static char name[] = "telepresence", none[] = "", root[] = "/";
	static struct passwd entry;
	lookup real = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "getpwuid");  /* POSIX, dlsym, Application Usage */
	struct passwd *found = real != NULL ? real(uid) : NULL;
	if (found != NULL || uid != getuid())
		return found;
	entry = (struct passwd){ .pw_name = name, .pw_passwd = none, .pw_uid = uid, .pw_gid = getgid(),
							 .pw_gecos = none, .pw_dir = root, .pw_shell = none };
	return &entry;
}
