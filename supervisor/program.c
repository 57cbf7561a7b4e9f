#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caller.h"
#include "filter.h"
#include "jobs.h"
#include "notify.h"

enum { NOT_STARTED = 255 };

static const int forwarded[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2};

/* Between fork and exec: the child says what listener it has, the parent takes it and says go. */
struct door {
	int up[2], down[2];
};

static int open_door(struct door *door)
{
	if (pipe2(door->up, O_CLOEXEC) == -1)
		return -errno;
	if (pipe2(door->down, O_CLOEXEC) == 0)
		return 0;
	close(door->up[0]);
	close(door->up[1]);
	return -errno;
}

/* The child's side.  What it may not call any more is answered by nobody yet. */
static bool pass_door(struct door *door)
{
	int listener;
	char go;

	close(door->up[0]);
	close(door->down[1]);
	listener = filter_install();
	return write(door->up[1], &listener, sizeof listener) == sizeof listener && listener >= 0 &&
	       read(door->down[0], &go, 1) == 1;
}

/* The parent's side: the listener or -errno. */
static int hold_door(struct door *door, pid_t child)
{
	int listener = -ECHILD;

	close(door->up[1]);
	close(door->down[0]);
	if (read(door->up[0], &listener, sizeof listener) != sizeof listener)
		listener = -ECHILD;
	if (listener >= 0)
		listener = caller_take_fd(child, listener);
	if (listener >= 0)
		(void)fcntl(listener, F_SETFD, FD_CLOEXEC);
	if (listener >= 0 && write(door->down[1], "g", 1) != 1)
		listener = -ECHILD;
	close(door->up[0]);
	close(door->down[1]);
	return listener;
}

/* Yama lets us look into our descendants alone: keep those whose parents have ended. */
static void keep_orphans(void)
{
	char scope = '0';
	int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return;
	if (read(fd, &scope, 1) == 1 && scope != '0')
		(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	close(fd);
}

int program_start(struct program *program, const char *path, char **argv)
{
	sigset_t all, before;
	struct door door;
	int rc = open_door(&door);

	if (rc != 0)
		return rc;
	keep_orphans();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	program->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	program->pid = program->signals == -1 ? -1 : fork();
	if (program->pid == -1)
		return -errno;
	if (program->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		sigprocmask(SIG_SETMASK, &before, NULL);
		if (pass_door(&door)) {
			(void)execv(path, argv);
			(void)fprintf(stderr, "T: cannot start %s: %s\n", path, strerror(errno));
		}
		_exit(NOT_STARTED);
	}
	return hold_door(&door, program->pid);
}

int program_signal(struct program *program, int signals)
{
	struct signalfd_siginfo info;
	int status, code = -1;
	pid_t ended;

	while (read(signals, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGCHLD)
			jobs_follow_stop(program->pid);
		if (info.ssi_signo == SIGCONT)
			jobs_follow_continuation(program->pid);
		for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
			/* The terminal's own signals reach the program without us. */
			if ((int)info.ssi_signo == forwarded[i] && info.ssi_code == SI_USER)
				(void)kill(program->pid, forwarded[i]);
	}
	while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
		if (ended == program->pid)
			code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return code;
}

/* What every connect of a program will need. */
static int check_call(int listener)
{
	struct sockaddr_in target;
	struct call call;
	int fd, rc = notify_receive(listener, &call);

	if (rc != 1)
		return rc == 0 ? -ECHILD : rc;
	rc = caller_read(call.thread, call.args[1], &target, sizeof target);
	fd = rc == 0 ? caller_take_fd(call.thread, (int)call.args[0]) : rc;
	if (fd < 0)
		return fd;
	close(fd);
	return notify_answer(listener, call.id, 0) ? 0 : -ENOSYS;
}

static const char *in_words(int error)
{
	switch (error) {
	case EBUSY: /* seccomp(2): one listener for a process and all its ancestors' filters */
		return "this process has a supervisor already, and there can be one only";
	case EPERM:
	case EACCES:
		return "this machine lets no program look into another of the same user "
		       "(kernel.yama.ptrace_scope, or rights taken away from this one)";
	case EINVAL:
	case ENOSYS:
		return "this kernel has no seccomp user notification (Linux 5.6), or it is forbidden here";
	default:
		return strerror(error);
	}
}

int program_check(void)
{
	const struct sockaddr_in nowhere = {.sin_family = AF_INET};
	struct door door;
	int rc = open_door(&door);
	pid_t child = rc == 0 ? fork() : -1;

	if (child == 0)
		_exit(pass_door(&door) &&
			      connect(door.up[1], (const struct sockaddr *)&nowhere,
				      sizeof nowhere) == 0
			      ? 0
			      : 1);
	if (rc == 0)
		rc = child == -1 ? -errno : hold_door(&door, child);
	if (rc >= 0) {
		int listener = rc;

		rc = check_call(listener);
		close(listener);
	}
	if (child != -1)
		(void)waitpid(child, NULL, 0);
	if (rc < 0)
		(void)printf("%s\n", in_words(-rc));
	return rc < 0 ? 1 : 0;
}
