/* Run a program in the pod's network that a preloaded library cannot enter: static, Go, setuid.
 *
 *   telepresence-supervisor SETTINGS LOG-FD PROGRAM ARGV0 [ARG ...]
 *   telepresence-supervisor --check
 *
 * Called by: the method inject-tcp, in front of the user's command.
 * Owns: the seccomp listener.  Ends with the program's exit code, or 128 and its signal.
 * Never: reads or writes the program's terminal; needs a privilege.
 *
 * The program is our child, as some systems (Yama) let only an ancestor look into a process. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "calls.h"
#include "detour.h"
#include "dial.h"
#include "flow.h"
#include "names.h"
#include "peers.h"
#include "program.h"
#include "receiving.h"
#include "report.h"
#include "shim.h"

enum { USAGE = 2, CANNOT = 255 }; /* Telepresence's own codes */

const struct settings *shim_settings; /* home.c's: what the SOCKS server's address is */

struct room {
	struct supervisor sup;
	struct watch calls, signals;
	struct program program;
	int status; /* -1: it runs */
};

static void on_call(struct watch *watch, uint32_t events)
{
	struct room *room = list_entry(watch, struct room, calls);
	struct call call;

	if ((events & EPOLLIN) != 0 && notify_receive(room->sup.listener, &call) == 1)
		calls_take(&room->sup, &call);
	else if ((events & EPOLLHUP) != 0) /* nobody is left who could call */
		loop_forget(&room->sup.loop, watch);
}

static void on_signal(struct watch *watch, uint32_t events)
{
	struct room *room = list_entry(watch, struct room, signals);

	(void)events;
	room->status = program_signal(&room->program, watch->fd);
}

static int read_settings(const char *path, struct settings *out)
{
	char text[SETTINGS_FILE_MAX];
	ssize_t n;
	int rc = -1, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return -1;
	n = read(fd, text, sizeof text);
	if (n > 0 && (size_t)n < sizeof text)
		rc = settings_parse(text, (size_t)n, out);
	explicit_bzero(text, sizeof text);
	close(fd);
	return rc;
}

/* Each connect under way has a descriptor here. */
static void allow_many_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int supervise(struct room *room)
{
	struct supervisor *sup = &room->sup;
	int rc;

	notify_take_turns(sup->listener);
	allow_many_files();
	room->calls = (struct watch){sup->listener, on_call};
	room->signals = (struct watch){room->program.signals, on_signal};
	rc = loop_watch(&sup->loop, &room->calls, EPOLLIN);
	if (rc == 0)
		rc = loop_watch(&sup->loop, &room->signals, EPOLLIN);
	while (rc == 0 && room->status == -1)
		rc = loop_turn(&sup->loop);
	dial_drop_all(sup);
	detour_drop_all(sup);
	receiving_drop_all(sup);
	flow_drop_all(sup);
	close(sup->listener);
	close(sup->loop.queue);
	if (rc == 0)
		return room->status;
	report(sup->log, "the supervisor ends: %s", strerror(-rc));
	return CANNOT;
}

static int run(char **words)
{
	static struct settings settings;
	struct room room = {.status = -1};
	struct supervisor *sup = &room.sup;
	int rc;

	if (read_settings(words[0], &settings) != 0) {
		(void)fprintf(stderr, "telepresence-supervisor: %s: no valid settings\n", words[0]);
		return USAGE;
	}
	shim_settings = sup->settings = &settings;
	sup->log = (int)strtol(words[1], NULL, 10);
	(void)fcntl(sup->log, F_SETFD, FD_CLOEXEC);
	list_init(&sup->dials);
	list_init(&sup->detours);
	list_init(&sup->relays);
	list_init(&sup->receives);
	sup->door = -1;
	flow_prepare(sup);
	sup->peers = peers_new();
	sup->names = names_new(sup);
	rc = sup->peers == NULL || sup->names == NULL ? -ENOMEM : loop_open(&sup->loop);
	if (rc == 0)
		rc = program_start(&room.program, words[2], words + 3);
	if (rc < 0) {
		(void)fprintf(stderr, "telepresence-supervisor: %s: %s\n", words[2], strerror(-rc));
		return CANNOT;
	}
	sup->listener = rc;
	rc = supervise(&room);
	names_free(sup->names);
	free(sup->peers);
	return rc;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--check") == 0)
		return program_check();
	if (argc >= 5)
		return run(argv + 1);
	(void)fprintf(stderr, "usage: telepresence-supervisor SETTINGS LOG-FD PROGRAM ARGV0 [ARG ...]\n"
			      "       telepresence-supervisor --check\n");
	return USAGE;
}
