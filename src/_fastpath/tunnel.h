/* The resumable session: a mux whose bytes outlive the connection that carries them.
 *
 * Called by: engine.pyx (open, attach, detach, close), loop.c (turns), the ends (sending).
 * Owns: the carrier while attached, the mux, the replay buffer, its ends.
 * Never: makes or authenticates a carrier; whoever attaches one has done the HELLO.
 *
 * Each side counts the bytes of the session in both directions.  After a carrier is lost the two
 * sides tell each other how far they have received, and each goes on sending from there. */
#ifndef TELEPRESENCE_TUNNEL_H
#define TELEPRESENCE_TUNNEL_H

#include "loop.h"
#include "mux.h"

enum {
	UNSENT_MAX = 512 * 1024,	 /* queued for the carrier; more would only add delay */
	REPLAY_MAX = 24 * 1024 * 1024,	 /* unacknowledged: one full WINDOW_MAX and what others add */
	ACK_BYTES = 1024 * 1024,	 /* tell the peer this often what has arrived: five processes pass it on */
	ACK_DELAY_US = 500 * 1000,	 /* or this late: its memory is waiting for it */
	PING_US = 3 * 1000 * 1000,
	SILENCE_US = 12 * 1000 * 1000, /* four pings unanswered: the carrier is dead */
	CARRIER_READ = 256 * 1024,
};

struct carrier;

struct tunnel {
	struct grave grave; /* first */
	struct list node;
	struct engine *engine;
	uint64_t number;
	bool agent, broken, readable, writable, hangup;
	struct carrier *carrier; /* NULL: none is attached */
	struct poll_item item;	 /* its descriptor's */
	struct task task;
	struct tunnel *onward; /* streams of the peer's go there; NULL: they are served here */
	struct mux mux;
	struct outbox out;
	uint64_t received;
	int64_t owed; /* bytes received since the last acknowledgement, without the peer's own */
	uint64_t ack_due_us, ping_due_us, pinged_us, heard_us;
	uint32_t ping;
	struct list ends, waiting, exposures;
	uint8_t *input; /* CARRIER_READ bytes */
};

/* NULL: no memory. */
struct tunnel *tunnel_open(struct engine *engine, bool agent);
/* Resets all streams, says go away if a carrier is attached, and closes the servers that feed it. */
void tunnel_close(struct tunnel *tunnel);
/* Take over a carrier; the peer has received `peer_received` bytes so far.  `greeting` is
 * sent first: the answer to a HELLO, which may only be given when the offset is good.
 * 0, or -errno and the carrier is still the caller's: -ERANGE when the peer's offset is not in the
 * replay buffer, -EBUSY when a carrier is attached, -EPIPE when the tunnel is broken. */
int tunnel_attach(struct tunnel *tunnel, struct carrier *carrier, uint64_t peer_received,
		  const uint8_t *greeting, size_t len);
/* The same with a connected socket, which stays the caller's when it fails. */
int tunnel_attach_socket(struct tunnel *tunnel, int fd, uint64_t peer_received,
			 const uint8_t *greeting, size_t len);
/* Close the carrier, if any; returns the bytes received, for the HELLO of the next one. */
uint64_t tunnel_detach(struct tunnel *tunnel);

/* For ends: no more data may be queued now. */
bool tunnel_full(const struct tunnel *tunnel);
/* For the engine: end of a turn, and when the next one is due at the latest. */
void tunnel_turn(struct tunnel *tunnel);
uint64_t tunnel_due_us(const struct tunnel *tunnel);

#endif
