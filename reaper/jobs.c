#include "jobs.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

void jobs_follow_stop(pid_t child)
{
	siginfo_t info = { 0 };
	pid_t group = getpgid(child);

	if (waitid(P_PID, (id_t)child, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid == child &&
	    group != getpgrp() && tcgetpgrp(STDIN_FILENO) == group)
		(void)kill(0, SIGTSTP); /* it is blocked here, and stops the command */
}

void jobs_follow_continuation(pid_t child)
{
	pid_t group = getpgid(child);

	if (group == -1 || group == getpgrp())
		return;
	if (tcgetpgrp(STDIN_FILENO) == getpgrp())
		(void)tcsetpgrp(STDIN_FILENO, group); /* SIGTTOU is blocked */
	(void)kill(-group, SIGCONT);
}
