#include "mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char prepared[MIRROR_PATH_MAX];

void mirror_prepare(void)
{
	const char *folder = getenv("TELEPRESENCE_SIP");

	if (folder != NULL && folder[0] == '/' && strlen(folder) < sizeof prepared)
		strcpy(prepared, folder);
}

const char *mirror_folder(void)
{
	return prepared[0] == '\0' ? NULL : prepared;
}

static bool is_protected(const char *path)
{
	static const char *const folders[] = {"/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/"};

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		size_t len = strlen(folders[i]);

		if (strncmp(path, folders[i], len) == 0 && path[len] != '\0' &&
		    strchr(path + len, '/') == NULL)
			return true;
	}
	return false;
}

static bool find_copy(const char *folder, const char *path, char out[MIRROR_PATH_MAX])
{
	if (!is_protected(path) || strlen(folder) + strlen(path) >= MIRROR_PATH_MAX)
		return false;
	strcpy(out, folder);
	strcat(out, path);
	return access(out, X_OK) == 0;
}

/* The first line, which a `#` ends as well, ended by NUL; false: no script, or nobody can say. */
static bool read_line(const char *path, char line[MIRROR_LINE_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd == -1 ? -1 : read(fd, line, MIRROR_LINE_MAX - 1);
	char *end;

	if (fd != -1)
		close(fd);
	if (n < 2 || line[0] != '#' || line[1] != '!')
		return false;
	line[n] = '\0';
	end = strpbrk(line + 1, "#\n");
	if (end == NULL)
		return false;
	*end = '\0';
	return true;
}

/* xnu, bsd/kern/kern_exec.c, exec_shell_imgact: unlike Linux it splits at every blank. */
static int split(char *line, char *words[MIRROR_WORDS_MAX])
{
	int n = 0;

	while (n < MIRROR_WORDS_MAX) {
		line += strspn(line, " \t");
		if (*line == '\0')
			break;
		words[n++] = line;
		line += strcspn(line, " \t");
		if (*line != '\0')
			*line++ = '\0';
	}
	return n;
}

bool mirror_find(const char *folder, const char *path, struct mirror_start *out)
{
	int before = errno;
	bool found = false;

	out->n_words = 0;
	if (folder == NULL || path == NULL)
		return false;
	if (is_protected(path)) {
		found = find_copy(folder, path, out->program);
	} else if (read_line(path, out->line)) {
		out->n_words = split(out->line + 2, out->words);
		found = out->n_words > 0 && find_copy(folder, out->words[0], out->program);
	}
	errno = before;
	return found;
}
