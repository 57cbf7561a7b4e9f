#include "filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIELD(name) ((uint32_t)offsetof(struct seccomp_data, name))
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW(n) (FIELD(args) + 8 * (n))
#define HIGH(n) (LOW(n) + 4)
#else
#define HIGH(n) (FIELD(args) + 8 * (n))
#define LOW(n) (HIGH(n) + 4)
#endif

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)
#define SKIP_UNLESS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, n)
#define SKIP_IF(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, n, 0)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define ASK BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)
#define REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS)

#define ASK_AT(number) SKIP_UNLESS(number, 1), ASK
#define REFUSE_AT(number) SKIP_UNLESS(number, 1), REFUSE
/* Only when the call's pointer `n` is not NULL: send() and recv() must stay as quick as ever. */
#define ASK_IF_GIVEN(number, n)                                                                    \
	SKIP_UNLESS(number, 6), LOAD(LOW(n)), SKIP_UNLESS(0, 2), LOAD(HIGH(n)), SKIP_IF(0, 1),     \
		ASK, ALLOW

/* A program for another ABI of the machine has other numbers and layouts.  What could leave the
 * machine there is refused. */
#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
/* i386: socketcall, connect, sendto, sendmsg, sendmmsg; x32: everything. */
#define OTHER_ABI REFUSE_AT(102), REFUSE_AT(362), REFUSE_AT(369), REFUSE_AT(370), REFUSE_AT(345)
#define NATIVE_ABI BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), REFUSE
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
/* arm: connect, sendto, sendmsg, sendmmsg. */
#define OTHER_ABI REFUSE_AT(283), REFUSE_AT(290), REFUSE_AT(296), REFUSE_AT(374)
#define NATIVE_ABI LOAD(FIELD(nr))
#else
#error "the numbers of this architecture's system calls are wanted here"
#endif

static const struct sock_filter other_abi[] = {LOAD(FIELD(nr)), OTHER_ABI,
					       REFUSE_AT(SYS_io_uring_setup), ALLOW};
enum { OTHER_LEN = sizeof other_abi / sizeof *other_abi };

static const struct sock_filter program[] = {
	LOAD(FIELD(arch)),
	SKIP_IF(NATIVE, OTHER_LEN),
	LOAD(FIELD(nr)),
	OTHER_ABI,
	REFUSE_AT(SYS_io_uring_setup),
	ALLOW,
	LOAD(FIELD(nr)),
	NATIVE_ABI,
	ASK_AT(SYS_connect),
	ASK_AT(SYS_execve), /* for the log */
	ASK_AT(SYS_execveat),
	ASK_AT(SYS_getpeername),
	ASK_AT(SYS_getsockname),
	/* getsockopt(SO_ERROR), with which programs learn how a connect has ended. */
	SKIP_UNLESS(SYS_getsockopt, 6), LOAD(LOW(1)), SKIP_UNLESS(SOL_SOCKET, 3), LOAD(LOW(2)),
	SKIP_UNLESS(SO_ERROR, 1), ASK, ALLOW,
	ASK_IF_GIVEN(SYS_sendto, 4),
	ASK_AT(SYS_sendmsg),
	ASK_AT(SYS_sendmmsg),
	ASK_IF_GIVEN(SYS_recvfrom, 4),
	ASK_AT(SYS_recvmsg),
	ASK_AT(SYS_recvmmsg),
	/* What a ring does is not seen here.  Programs that know io_uring know kernels without it. */
	REFUSE_AT(SYS_io_uring_setup),
	ALLOW,
};

int filter_install(void)
{
	const struct sock_fprog prog = {sizeof program / sizeof *program,
					(struct sock_filter *)(uintptr_t)program};
	long fd;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return -errno;
	/* SPEC_ALLOW: without it kernels before 5.16 slow the whole program down. */
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		     SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &prog);
	return fd == -1 ? -errno : (int)fd;
}
