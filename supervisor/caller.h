/* The thread whose system call is being answered: its memory and its descriptors.
 *
 * Called by: everything that carries a call out.
 * Owns: nothing; a descriptor that it takes is the caller's of these functions.
 * Never: trusts that the thread is still there: ask notify_alive() before what was read is used.
 *
 * Sources: process_vm_readv(2), pidfd_getfd(2).  Both want what ptrace(2) wants. */
#ifndef TELEPRESENCE_SUPERVISOR_CALLER_H
#define TELEPRESENCE_SUPERVISOR_CALLER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* All of it or -errno, as the kernel's own copies have it. */
int caller_read(pid_t thread, uint64_t from, void *to, size_t len);
int caller_write(pid_t thread, uint64_t to, const void *from, size_t len);
/* A NUL-terminated text: its length, or -errno (-ENAMETOOLONG: longer than room). */
ssize_t caller_read_text(pid_t thread, uint64_t from, char *to, size_t room);

/* The same open file under a number of ours, or -errno. */
int caller_take_fd(pid_t thread, int fd);

#endif
