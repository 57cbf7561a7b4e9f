/* Mount points where the laptop has no such directory, without making one there.
 * Called by: main.c, in a mount namespace of its own.  Owns: the tmpfs that it mounts.
 * Never: writes to a file system of the laptop. */
#ifndef PLACES_H
#define PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { MIRRORS = 256 };
/* The directories that have been replaced, by the tmpfs that each now is. */
struct places { dev_t made[MIRRORS]; size_t n; };

/* Make sure that there is something at `path` to mount on: a directory or a file.  Where its directory
 * is the laptop's, that is replaced, in this namespace, by a tmpfs with all that was in it.
 * 0, or -1 and errno. */
int place_make(struct places *p, const char *path, bool is_directory);

#endif
