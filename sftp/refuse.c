/* What SFTP has no word for is refused in so many words; preloaded into sshfs.
 *
 * Locks (ENOLCK): left alone, the kernel grants a lock that only programs of this machine respect, so
 * that two would own it, one here and one in the pod.  Changes of a single file that is mounted
 * read-only in something writable (EROFS): the pod refuses them as well, but SFTP can say no more than
 * "failure"; a read-only directory is a mount of its own.  An sshfs of a libfuse that makes file systems
 * by another name than fuse_new@FUSE_3.1 goes on as before.
 *
 * Called by: sshfs, through LD_PRELOAD of src/telepresence/volumes/sshfs.py, whose $TELEPRESENCE_FROZEN
 * names the files by their paths in the mount, each with a `:` behind it.
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

#define EXPORT __attribute__((visibility("default")))

/* Source: libfuse 3, fuse.h, struct fuse_operations: pointers alone, whose order is its ABI; and
 * struct fuse_file_info, which begins with the flags of open(2). */
enum { CHMOD = 9, CHOWN, TRUNCATE, OPEN, LOCK = 31, UTIMENS, FLOCK = 38, OPERATIONS = 64 };

typedef int (*chmod_operation)(const char *, mode_t, void *);
typedef int (*chown_operation)(const char *, uid_t, gid_t, void *);
typedef int (*truncate_operation)(const char *, off_t, void *);
typedef int (*open_operation)(const char *, int *);
typedef int (*utimens_operation)(const char *, const struct timespec[2], void *);
typedef int (*lock_operation)(const char *, void *, int, struct flock *);
typedef int (*flock_operation)(const char *, void *, int);
typedef void *(*make)(void *, const void *, size_t, void *);

static struct {
    chmod_operation chmod;
    chown_operation chown;
    truncate_operation truncate;
    open_operation open;
    utimens_operation utimens;
} sshfs;

static bool is_frozen(const char *path)
{
    const char *at = getenv("TELEPRESENCE_FROZEN");
    size_t len = path == NULL ? 0 : strlen(path);
    for (const char *end; at != NULL && (end = strchr(at, ':')) != NULL; at = end + 1)
        if (len == (size_t)(end - at) && memcmp(path, at, len) == 0)
            return true;
    return false;
}

static int refuse_chmod(const char *path, mode_t mode, void *file)
{
    return is_frozen(path) ? -EROFS : sshfs.chmod(path, mode, file);
}

static int refuse_chown(const char *path, uid_t uid, gid_t gid, void *file)
{
    return is_frozen(path) ? -EROFS : sshfs.chown(path, uid, gid, file);
}

static int refuse_truncate(const char *path, off_t size, void *file)
{
    return is_frozen(path) ? -EROFS : sshfs.truncate(path, size, file);
}

static int refuse_open(const char *path, int *file)
{
    return (*file & O_ACCMODE) != O_RDONLY && is_frozen(path) ? -EROFS : sshfs.open(path, file);
}

static int refuse_utimens(const char *path, const struct timespec times[2], void *file)
{
    return is_frozen(path) ? -EROFS : sshfs.utimens(path, times, file);
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

EXPORT void *fuse_new(void *arguments, const void *operations, size_t size, void *data)
{
    void *with[OPERATIONS] = { NULL };
    lock_operation lock = refuse_lock;
    flock_operation flock = refuse_flock;
    make real = NULL;
    *(void **)&real = dlvsym(RTLD_NEXT, "fuse_new", "FUSE_3.1");  /* POSIX, dlsym, Application Usage */
    if (real == NULL)
        return NULL;
    if (size > sizeof with || size <= FLOCK * sizeof *with)
        return real(arguments, operations, size, data);
    memcpy(with, operations, size);
    REPLACE(CHMOD, chmod);
    REPLACE(CHOWN, chown);
    REPLACE(TRUNCATE, truncate);
    REPLACE(OPEN, open);
    REPLACE(UTIMENS, utimens);
    memcpy(&with[LOCK], &lock, sizeof lock);
    memcpy(&with[FLOCK], &flock, sizeof flock);
    return real(arguments, with, size, data);
}
