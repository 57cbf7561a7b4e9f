/* Programs that macOS protects are started as their copies (telepresence.method.sip makes them).
 *
 * Called by: start_mirrored.c; shim.c at load; on Linux the cffi doorway, for its tests alone.
 * Owns: the name of the folder with the copies.  Never: allocates; makes a copy.
 *
 * The system takes DYLD_INSERT_LIBRARIES from the environment of every program in these folders.
 * A script counts as its interpreter does. */
#ifndef TELEPRESENCE_PRELOAD_MIRROR_H
#define TELEPRESENCE_PRELOAD_MIRROR_H

#include <stdbool.h>

enum { MIRROR_PATH_MAX = 1024, MIRROR_LINE_MAX = 512, MIRROR_WORDS_MAX = 32 };

struct mirror_start {
	char program[MIRROR_PATH_MAX];
	char line[MIRROR_LINE_MAX];
	char *words[MIRROR_WORDS_MAX]; /* of the script's first line; they go before its path */
	int n_words;		       /* 0: no script */
};

/* At load; TELEPRESENCE_SIP names the folder. */
void mirror_prepare(void);
const char *mirror_folder(void);

/* How `path` is to be started; false: as it is, also without a folder (NULL). */
bool mirror_find(const char *folder, const char *path, struct mirror_start *out);

#endif
