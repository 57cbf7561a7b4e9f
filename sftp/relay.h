/* SFTP between sshfs and the tunnel, packet by packet: an answer always comes.
 *
 * When nothing is heard from the pod for `timeout_s` although something was asked, all that was asked
 * is answered with FX_NO_CONNECTION, and so is whatever is asked until the pod is heard again: its
 * late answers to nobody, which come when the tunnel is carried again.
 *
 * Called by: main.c.  Owns: the four queues and the table of what was asked.
 * Never: waits in anything but poll(2). */
#ifndef RELAY_H
#define RELAY_H

#include "wire.h"

struct ahead;
struct fetch;
struct onward;
struct piece;

enum owner { FREE, CLIENT, OURS, NOBODY };

/* Something that was asked of the server; its index is the id that the server sees. */
struct asked {
	enum owner owner;
	uint8_t type;
	uint32_t client_id;
	char *path;           /* of a directory that is read, else NULL */
	struct fetch *fetch;  /* of ours, both NULL: nobody waits for the answer */
	struct piece *piece;
	uint32_t next_free;
};

struct relay {
	int client, server;  /* borrowed */
	struct queue from_client, from_server, to_client, to_server;
	struct asked *asked;
	uint32_t n_asked, first_free;
	size_t waiting;      /* how many are not FREE */
	double heard_at, timeout_s;
	bool lost;
	struct ahead *ahead;
	struct onward *onward;
};

double now_s(void);

/* Ask the server.  The caller fills in the path or the fetch of what is returned, at once. */
struct asked *relay_ask(struct relay *r, enum owner owner, uint8_t type, uint32_t client_id,
						const void *body, size_t n_bytes);
void relay_answer(struct relay *r, uint8_t type, uint32_t client_id, const void *body,
				  size_t n_bytes);
/* An answer with so many bytes of data, which the caller puts where this points. */
struct queue *relay_answer_data(struct relay *r, uint32_t client_id, size_t n_bytes);
void relay_status(struct relay *r, uint32_t client_id, uint32_t code);
/* A packet of the client's, past what the cache may know of it. */
void relay_forward(struct relay *r, uint8_t type, uint32_t id, const void *body, size_t n_bytes);

/* Until one end is closed: 0, or 1 for what is no SFTP. */
int relay_run(struct relay *r);

#endif
