#include "exec.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_MAX = 4096, VARIABLES = 6 };

/* The first is a list, of which the shim has to be one; the others have to be there. */
#ifdef __APPLE__
#define PRELOAD "DYLD_INSERT_LIBRARIES"
#else
#define PRELOAD "LD_PRELOAD"
#endif
static const char preload[] = PRELOAD "=";
static const char *const names[VARIABLES] = {
	"TORSOCKS_CONF_FILE=", "TORSOCKS_USERNAME=",	  "TORSOCKS_PASSWORD=",
	"TORSOCKS_LOG_LEVEL=", "TORSOCKS_LOG_FILE_PATH=", "TELEPRESENCE_SIP=",
};

static char saved_preload[VALUE_MAX]; /* up to the shim itself; "": it was loaded otherwise */
static char saved[VARIABLES][VALUE_MAX]; /* NAME=VALUE, or "" */
static char shim_name[VALUE_MAX];

static const char *find(char *const env[], const char *name)
{
	size_t len = strlen(name);

	for (; env != NULL && *env != NULL; env++)
		if (strncmp(*env, name, len) == 0)
			return *env;
	return NULL;
}

/* One of the words of the list (ld.so(8): blanks or colons); NULL or behind it. */
static const char *behind_shim(const char *list)
{
	size_t len = strlen(shim_name);

	while (*list != '\0') {
		size_t word = strcspn(list, " :");

		if (word == len && memcmp(list, shim_name, len) == 0)
			return list + word;
		list += word + strspn(list + word, " :");
	}
	return NULL;
}

void exec_prepare(void)
{
	const char *list = getenv(PRELOAD), *end;
	Dl_info self;

	if (list == NULL || dladdr(&shim_name, &self) == 0 || self.dli_fname == NULL ||
	    strlen(self.dli_fname) >= sizeof shim_name)
		return;
	strcpy(shim_name, self.dli_fname);
	end = behind_shim(list);
	/* As those that stand before the shim now have to later, too (a sanitizer's runtime). */
	if (end == NULL || (size_t)(end - list) >= sizeof saved_preload)
		return;
	memcpy(saved_preload, list, (size_t)(end - list));
	for (int i = 0; i < VARIABLES; i++) {
		const char *whole;
		char name[32];

		strcpy(name, names[i]);
		name[strlen(name) - 1] = '\0';
		whole = getenv(name);
		if (whole != NULL && strlen(names[i]) + strlen(whole) < VALUE_MAX) {
			strcpy(saved[i], names[i]);
			strcat(saved[i], whole);
		}
	}
}

static bool lacks_shim(char *const env[])
{
	const char *list = find(env, preload);

	return list == NULL || behind_shim(list + sizeof preload - 1) == NULL;
}

static bool lacks(char *const env[], int i)
{
	return saved[i][0] != '\0' && find(env, names[i]) == NULL;
}

size_t exec_room(char *const env[])
{
	const char *list = find(env, preload);
	size_t n = VARIABLES + 2;
	bool whole = !lacks_shim(env);

	if (saved_preload[0] == '\0')
		return 0;
	for (int i = 0; i < VARIABLES; i++)
		whole &= !lacks(env, i);
	if (whole)
		return 0;
	for (char *const *at = env; at != NULL && *at != NULL; at++)
		n++;
	return n * sizeof *env + sizeof preload + strlen(saved_preload) +
	       (list == NULL ? 0 : strlen(list)) + 2;
}

/* The text follows the pointers, of which there are at most as many as exec_room() counted. */
static char *put_preload(char *const env[], char *text)
{
	const char *list = find(env, preload);

	strcpy(text, preload);
	strcat(text, saved_preload);
	if (list != NULL && list[sizeof preload - 1] != '\0') {
		strcat(text, ":");
		strcat(text, list + sizeof preload - 1);
	}
	return text;
}

char *const *exec_repair(char *const env[], void *room)
{
	char **out = room;
	size_t n = VARIABLES + 2, k = 0;
	bool shimless = lacks_shim(env);

	for (char *const *at = env; at != NULL && *at != NULL; at++)
		n++;
	if (shimless)
		out[k++] = put_preload(env, (char *)(out + n));
	for (int i = 0; i < VARIABLES; i++)
		if (lacks(env, i))
			out[k++] = saved[i];
	for (char *const *at = env; at != NULL && *at != NULL; at++)
		if (!shimless || strncmp(*at, preload, sizeof preload - 1) != 0)
			out[k++] = *at;
	out[k] = NULL;
	return out;
}
