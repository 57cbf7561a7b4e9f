/* Hold a pod's namespaces open: sleep until SIGTERM, reaping children of a shared process namespace.
 * Source: signal(7); the container runtime runs this as process 1 of each pod. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop(int signal_number)
{
    (void)signal_number;
    _exit(0);
}

static void reap(int signal_number)
{
    (void)signal_number;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
}

int main(void)
{
    struct sigaction action = {.sa_handler = stop};

    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = reap;
    sigaction(SIGCHLD, &action, NULL);
    for (;;)
        pause();
}
