/* Which system calls of a program the kernel holds until the supervisor has answered them.
 *
 * Called by: main.c, in the process that becomes the program.
 * Owns: nothing.  Never: sees memory: what an address in it says is the supervisor's to judge.
 *
 * Sources: seccomp(2), seccomp_unotify(2), Documentation/userspace-api/seccomp_filter.rst. */
#ifndef TELEPRESENCE_SUPERVISOR_FILTER_H
#define TELEPRESENCE_SUPERVISOR_FILTER_H

/* From now on for this process and all that it starts: the listener, which closes on exec, or
 * -errno.  Programs with more rights than their user (setuid, capabilities) have lost them. */
int filter_install(void);

#endif
