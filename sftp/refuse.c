/* What SFTP has no word for is refused in so many words; preloaded into sshfs.
 *
 * Locks (ENOLCK): left alone, the kernel grants a lock that only programs of this machine respect, so
 * that two would own it, one here and one in the pod.  Changes in a read-only volume (EROFS): the pod
 * refuses them as well, but SFTP can say no more than "failure".  An sshfs of a libfuse that makes file
 * systems by another name than the two below goes on as before.
 *
 * Called by: sshfs, through LD_PRELOAD of src/telepresence/volumes/sshfs.py, whose $TELEPRESENCE_MODES
 * has `r` or `w`, a path in the mount and a `:` for each volume; the longest that fits decides.
 * Owns: what sshfs itself does, set once.  Never: refuses an unlock, which every close(2) of libfuse is
 * as well. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* Source: libfuse 3, fuse.h, struct fuse_operations: pointers alone, whose order is its ABI; and
 * struct fuse_file_info, which begins with the flags of open(2). */
enum {
	MKNOD = 2, MKDIR, UNLINK, RMDIR, SYMLINK, RENAME, LINK, CHMOD, CHOWN, TRUNCATE, OPEN, ACCESS = 29,
	CREATE, LOCK, UTIMENS, FLOCK = 38, OPERATIONS = 64
};

typedef int (*mknod_operation)(const char *, mode_t, dev_t);
typedef int (*mkdir_operation)(const char *, mode_t);
typedef int (*unlink_operation)(const char *);
typedef int (*rmdir_operation)(const char *);
typedef int (*symlink_operation)(const char *, const char *);
typedef int (*rename_operation)(const char *, const char *, unsigned int);
typedef int (*link_operation)(const char *, const char *);
typedef int (*chmod_operation)(const char *, mode_t, void *);
typedef int (*chown_operation)(const char *, uid_t, gid_t, void *);
typedef int (*truncate_operation)(const char *, off_t, void *);
typedef int (*open_operation)(const char *, int *);
typedef int (*create_operation)(const char *, mode_t, void *);
typedef int (*utimens_operation)(const char *, const struct timespec[2], void *);
typedef int (*access_operation)(const char *, int);
typedef int (*lock_operation)(const char *, void *, int, struct flock *);
typedef int (*flock_operation)(const char *, void *, int);
typedef void *(*make)(void *, const void *, size_t, void *);
typedef void *(*make_since_3_17)(void *, const void *, size_t, void *, void *);

static struct {
	mknod_operation mknod;
	mkdir_operation mkdir;
	unlink_operation unlink;
	rmdir_operation rmdir;
	symlink_operation symlink;
	rename_operation rename;
	link_operation link;
	chmod_operation chmod;
	chown_operation chown;
	truncate_operation truncate;
	open_operation open;
	create_operation create;
	utimens_operation utimens;
	access_operation access;
} sshfs;

static bool lies_in(const char *path, const char *volume, size_t len)
{
	return strncmp(path, volume, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool is_frozen(const char *path)
{
	const char *at = getenv("TELEPRESENCE_MODES");
	size_t longest = 0;
	bool frozen = false;
	if (path == NULL)
		return false;
	for (const char *end; at != NULL && (end = strchr(at, ':')) != NULL; at = end + 1) {
		size_t len = (size_t)(end - at) - 1;
		if (len >= longest && lies_in(path, at + 1, len)) {
			longest = len;
			frozen = *at == 'r';
		}
	}
	return frozen;
}

/* The operation of that name, refused in a read-only volume. */
#define REFUSED(name, parameters, ...)                                     \
	static int refuse_##name parameters                                    \
	{                                                                      \
		return is_frozen(path) ? -EROFS : sshfs.name(__VA_ARGS__);         \
	}

REFUSED(mknod, (const char *path, mode_t mode, dev_t device), path, mode, device)
REFUSED(mkdir, (const char *path, mode_t mode), path, mode)
REFUSED(unlink, (const char *path), path)
REFUSED(rmdir, (const char *path), path)
REFUSED(symlink, (const char *target, const char *path), target, path)
REFUSED(link, (const char *target, const char *path), target, path)
REFUSED(chmod, (const char *path, mode_t mode, void *file), path, mode, file)
REFUSED(chown, (const char *path, uid_t uid, gid_t gid, void *file), path, uid, gid, file)
REFUSED(truncate, (const char *path, off_t size, void *file), path, size, file)
REFUSED(create, (const char *path, mode_t mode, void *file), path, mode, file)
REFUSED(utimens, (const char *path, const struct timespec times[2], void *file), path, times, file)

static int refuse_rename(const char *from, const char *to, unsigned int flags)
{
	return is_frozen(from) || is_frozen(to) ? -EROFS : sshfs.rename(from, to, flags);
}

static int refuse_open(const char *path, int *file)
{
	return (*file & O_ACCMODE) != O_RDONLY && is_frozen(path) ? -EROFS : sshfs.open(path, file);
}

static int refuse_access(const char *path, int mask)
{
	return (mask & W_OK) != 0 && is_frozen(path) ? -EROFS : sshfs.access(path, mask);
}

static int refuse_lock(const char *path, void *file, int command, struct flock *lock)
{
	(void)path, (void)file, (void)command;
	return lock->l_type == F_UNLCK ? 0 : -ENOLCK;
}

static int refuse_flock(const char *path, void *file, int operation)
{
	(void)path, (void)file;
	return operation & LOCK_UN ? 0 : -ENOLCK;
}

/* Keep sshfs' own of the same type, where it has one, and put ours in its place. */
#define REPLACE(number, name)                                              \
	do {                                                                   \
		name##_operation ours = refuse_##name;                             \
		memcpy(&sshfs.name, &with[number], sizeof ours);                   \
		if (sshfs.name != NULL)                                            \
			memcpy(&with[number], &ours, sizeof ours);                     \
	} while (0)

/* sshfs' operations with ours among them.  False: they are of no libfuse that is known here. */
static bool teach(void *with[OPERATIONS], const void *operations, size_t size)
{
	lock_operation lock = refuse_lock;
	flock_operation flock = refuse_flock;
	if (size > OPERATIONS * sizeof *with || size <= FLOCK * sizeof *with)
		return false;
	memcpy(with, operations, size);
	REPLACE(MKNOD, mknod);
	REPLACE(MKDIR, mkdir);
	REPLACE(UNLINK, unlink);
	REPLACE(RMDIR, rmdir);
	REPLACE(SYMLINK, symlink);
	REPLACE(RENAME, rename);
	REPLACE(LINK, link);
	REPLACE(CHMOD, chmod);
	REPLACE(CHOWN, chown);
	REPLACE(TRUNCATE, truncate);
	REPLACE(OPEN, open);
	REPLACE(ACCESS, access);
	REPLACE(CREATE, create);
	REPLACE(UTIMENS, utimens);
	memcpy(&with[LOCK], &lock, sizeof lock);
	memcpy(&with[FLOCK], &flock, sizeof flock);
	return true;
}

EXPORT void *fuse_new(void *arguments, const void *operations, size_t size, void *data)
{
	void *with[OPERATIONS] = { NULL };
	make real = NULL;
    *(void **)&real = dlvsym(RTLD_NEXT, "fuse_new", "FUSE_3.1");  /* POSIX, dlsym, Application Usage */
	if (real == NULL)
		return NULL;
	return real(arguments, teach(with, operations, size) ? with : operations, size, data);
}

/* Its name since libfuse 3.17: fuse.h, fuse_new_fn(). */
EXPORT void *_fuse_new_31(void *arguments, const void *operations, size_t size, void *version, void *data)
{
	void *with[OPERATIONS] = { NULL };
	make_since_3_17 real = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "_fuse_new_31");
	if (real == NULL)
		return NULL;
	return real(arguments, teach(with, operations, size) ? with : operations, size, version, data);
}
