/* Locks are refused (ENOLCK), preloaded into sshfs.
 *
 * SFTP has none.  Left alone, the kernel grants a lock that only programs of this machine respect: two
 * would own it, one here and one in the pod.  An sshfs of a libfuse that makes file systems by another
 * name than fuse_new@FUSE_3.1 goes on as before.
 *
 * Called by: sshfs, through LD_PRELOAD of src/telepresence/volumes/sshfs.py.
 * Owns: nothing.  Never: refuses an unlock, which every close(2) of libfuse is as well. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>

#define EXPORT __attribute__((visibility("default")))

/* Source: libfuse 3, fuse.h, struct fuse_operations: pointers alone, whose order is its ABI. */
enum { LOCK = 31, FLOCK = 38, OPERATIONS = 64 };

typedef int (*lock_operation)(const char *, void *, int, struct flock *);
typedef int (*flock_operation)(const char *, void *, int);
typedef void *(*make)(void *, const void *, size_t, void *);

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
    memcpy(&with[LOCK], &lock, sizeof lock);
    memcpy(&with[FLOCK], &flock, sizeof flock);
    return real(arguments, with, size, data);
}
