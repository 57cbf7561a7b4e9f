/* SPDY/3.1 frames, as far as a port-forward to one port needs them: bytes in, bytes out.
 *
 * Called by: carrier_api.c.
 * Owns: the state of the frame that is being read.
 * Never: touches a descriptor; reads a header block (tunnel/apiserver.py makes the two of ours).
 *
 * SPDY Protocol Draft 3.1 section 2.2.  Of the two streams that a port-forward has, number 1 says
 * in words what went wrong and number 3 carries the bytes (Kubernetes, tools/portforward).  The
 * servers neither keep nor announce windows, so there are none here. */
#ifndef TELEPRESENCE_SPDY_H
#define TELEPRESENCE_SPDY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	SPDY_HEAD = 8,
	SPDY_PONG = SPDY_HEAD + 4, /* a PING, sent back as it came */
	SPDY_ERROR_MAX = 256,
	SPDY_PAYLOAD_MAX = 0xffffff,
};

struct spdy {
	uint8_t head[SPDY_PONG]; /* with a PING's number */
	uint8_t head_len;
	bool in_frame; /* the head has been read, `left` bytes are to come */
	uint32_t left;
	bool closed;   /* the bytes have ended, with or without `error` */
	bool pong_due; /* send `pong` */
	uint8_t pong[SPDY_PONG];
	char error[SPDY_ERROR_MAX]; /* what stream 1 said */
	size_t error_len;
};

void spdy_init(struct spdy *spdy);
/* Take all of `data`; what is payload of stream 3 is moved to its front.  How many bytes that is,
 * or -EPROTO: the peer does not speak SPDY/3.1. */
ssize_t spdy_take(struct spdy *spdy, uint8_t *data, size_t len);
/* The head of a frame that carries `len` bytes, at most SPDY_PAYLOAD_MAX, on stream 3. */
void spdy_data(uint8_t head[SPDY_HEAD], size_t len);

#endif
