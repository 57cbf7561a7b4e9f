/* What a held call is about: where it wants to go, and with which socket.
 *
 * Called by: calls.c, sending.c, receiving.c.
 * Owns: nothing; the descriptor of asked_socket() is its caller's.
 * Never: carries anything out. */
#ifndef TELEPRESENCE_SUPERVISOR_ASKED_H
#define TELEPRESENCE_SUPERVISOR_ASKED_H

#include "notify.h"
#include "peers.h"
#include "supervisor.h"

enum asked_kind { ASKED_OTHER, ASKED_TCP, ASKED_UDP };

/* 0 with a target in the pod's network; 1: the call is left alone; -errno. */
int asked_target(const struct call *call, uint64_t address, uint64_t len, union target *out);
/* The call's socket.  ASKED_OTHER: no descriptor, and the call has got its answer already: the kernel
 * carries it out, or it is refused as `rc` of asked_target() says. */
enum asked_kind asked_socket(struct supervisor *sup, const struct call *call, int rc,
			     const union target *target, int *fd);
/* The kernel carries it out.  Where a call goes wrong without our help, it has the right words. */
void asked_leave(struct supervisor *sup, const struct call *call);
/* What could not be read of it: left to the kernel, or refused where nobody may look into the process. */
void asked_refuse(struct supervisor *sup, const struct call *call, int rc);
/* An option of SOL_SOCKET, or -1. */
int asked_option(int fd, int name);

#endif
