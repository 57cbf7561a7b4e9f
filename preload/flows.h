/* What the shim knows about descriptors that it has connected.
 *
 * Called by: dial.c (connect, settle), datagram.c, hooks.c (close, dup, getpeername).
 * Owns: one entry a descriptor, in memory from mmap(2).  Never: a system call that changes a
 * descriptor; a lock: close() and dup2() are called from signal handlers and after fork().
 *
 * Descriptors also go away behind the shim's back (close_range, fclose, posix_spawn), so an entry
 * is only believed when the socket's inode is still the one that it was made for.
 * A child of vfork(2) shares this memory but not the descriptors: it changes nothing here. */
#ifndef TELEPRESENCE_PRELOAD_FLOWS_H
#define TELEPRESENCE_PRELOAD_FLOWS_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum flow_state {
	FLOW_NONE,    /* not ours */
	FLOW_PENDING, /* connected to the server, whose answer is still to come */
	FLOW_FAILED,  /* the answer was no, and the program has not been told */
	FLOW_UP,      /* joined to its target */
	FLOW_RELAYED, /* a UDP socket whose datagrams go through the server */
	FLOW_CONTROL, /* the shim's own: the connection for whose life a UDP association lasts */
};

union flow_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct flow {
	uint64_t inode;
	union flow_address target; /* RELAYED: the peer, or the last name server of the laptop's */
	uint32_t target_len;
	uint8_t state;
	bool welcomed;	  /* PENDING: the answers before the last are eaten */
	bool unannounced; /* UP: connect(2) may still be called once to learn that */
	int16_t error;	  /* FAILED: what to tell */
	int32_t lowat;	  /* PENDING: SO_RCVLOWAT as the program has it */
	bool connected;	  /* RELAYED: with connect(2) */
	bool bare;	  /* RELAYED, connected: its datagrams go without headers */
	bool labelled;	  /* UP: its name is tied to it (label.h) */
	bool nameserver;  /* RELAYED: target is one of the laptop's name servers */
	int32_t other;	  /* RELAYED: the CONTROL descriptor; CONTROL: one that it is for */
	union flow_address relay; /* RELAYED: where its datagrams go */
	union flow_address local; /* UP: the pod's end, of the target's family; or AF_UNSPEC */
};

/* How many are PENDING or FAILED; zero lets every other call pass at once. */
extern _Atomic int flows_unsettled;
/* How many are RELAYED or CONTROL. */
extern _Atomic int flows_relayed;

/* At load, and in the child of fork(2): this process is the one that owns the table. */
void flows_adopt(void);
bool flows_ours(void);

/* Not checked against the inode: what is NONE here is NONE. */
enum flow_state flow_state(int fd);
/* Checked, so that a number in its next life is not taken for what it was. */
bool flow_pending(int fd);
/* A copy of a believable entry.  False: none, or it is being changed right now. */
bool flow_read(int fd, struct flow *out);
/* As flow_read(), and nobody else changes it before flow_release(), whose `now` becomes the entry. */
bool flow_claim(int fd, struct flow *out);
void flow_release(int fd, const struct flow *now);
/* A new entry for the socket at fd, whose inode this fills in.  False: there is no room, or another
 * thread is at it, or the table is not ours. */
bool flow_put(int fd, struct flow *now);
void flow_drop(int fd);
/* The first descriptor from `fd` on that is not NONE, or -1. */
int flow_next(int fd);

#endif
