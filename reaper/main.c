/* telepresence-reaper FD GRACE_MS PROGRAM ARG0 [ARG ...]
 *
 * Run the user's program on our terminal and in our process group, as a shell without job control
 * does, and end what it leaves behind: who loses their parent among its descendants becomes our child
 * (prctl(2), PR_SET_CHILD_SUBREAPER), whatever they do to be forgotten.  Exits with the program's code,
 * 128 + N for signal N.  FD gets errno, as an int, when the program cannot be executed.
 *
 * Called by: src/telepresence/runner.py.  Owns: the program and its descendants.
 * Never: outlives the process that started it; takes a signal of the terminal as meant for itself. */
#include "jobs.h"
#include "orphans.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_STARTED = 127, KILL_MS = 3000 };

static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH };

static pid_t start(int report, const char *path, char **argv, const sigset_t *before)
{
	pid_t pid;

	(void)fcntl(report, F_SETFD, FD_CLOEXEC); /* its end tells that the program is executed */
	pid = fork();
	if (pid == 0) {
		(void)sigprocmask(SIG_SETMASK, before, NULL);
		(void)execv(path, argv);
		int why = errno;
		ssize_t said = write(report, &why, sizeof why);
		_exit(said == -1 ? why : NOT_STARTED);
	}
	(void)close(report);
	return pid;
}

static int is_forwarded(const siginfo_t *info)
{
	/* What the terminal sends reaches the program without us. */
	if (info->si_code == SI_KERNEL)
		return 0;
	for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
		if (info->si_signo == forwarded[i])
			return 1;
	return 0;
}

/* Until the program has ended, or whoever started us wants it to, or is gone. */
static void watch(struct outcome *main, pid_t parent, const sigset_t *all)
{
	while (main->code == -1) {
		siginfo_t info;
		int number = sigwaitinfo(all, &info);
		if (number == SIGTERM && (info.si_pid == parent || getppid() != parent))
			return;
		if (number == SIGCHLD) {
			jobs_follow_stop(main->pid);
			(void)orphans_reap(main);
		} else if (number == SIGCONT) {
			jobs_follow_continuation(main->pid);
		} else if (number > 0 && is_forwarded(&info)) {
			(void)kill(main->pid, number);
		}
	}
}

int main(int argc, char **argv)
{
	struct outcome outcome = { .pid = -1, .code = -1 };
	pid_t parent = getppid();
	sigset_t all, before;

	if (argc < 5)
		return NOT_STARTED;
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	outcome.pid = start(atoi(argv[1]), argv[3], argv + 4, &before);
	if (outcome.pid == -1)
		return NOT_STARTED;
	watch(&outcome, parent, &all);
	if (!orphans_end(&outcome, SIGTERM, atoi(argv[2])))
		(void)orphans_end(&outcome, SIGKILL, KILL_MS);
	return outcome.code == -1 ? 128 + SIGKILL : outcome.code;
}
