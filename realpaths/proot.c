/* telepresence-proot PROOT [ARG ...]
 *
 * Run proot, for which, and for all that it starts, statx(2) is not there: proot 5.1, Debian's, does
 * not know that call, and so lets it through with the path as the program gave it.  libc and the
 * run-times of other languages then ask by the calls before it (glibc, sysdeps/unix/sysv/linux/statx.c),
 * which every proot knows.  A filter's own error goes before proot's tracing: seccomp(2).
 *
 * Called by: the script `proot` of src/telepresence/method/substitutes.py.  Owns: nothing.
 * Never: stands in the way: where there can be no filter, proot runs without. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#else
#error "the name of this architecture's system calls is wanted here"
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SKIP_UNLESS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, n)

int main(int argc, char **argv)
{
	struct sock_filter code[] = {
		LOAD(arch),
		SKIP_UNLESS(NATIVE, 3),
		LOAD(nr),
		SKIP_UNLESS(SYS_statx, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { .len = sizeof code / sizeof *code, .filter = code };
	if (argc < 2) {
		fprintf(stderr, "usage: telepresence-proot PROOT [ARG ...]\n");
		return 2;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		(void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
	execv(argv[1], argv + 1);
	fprintf(stderr, "telepresence-proot: cannot start %s: %s\n", argv[1], strerror(errno));
	return 127;
}
