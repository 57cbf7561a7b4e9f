/* The 12-byte header of a yamux frame.
 *
 * Called by: mux.c.  Owns: nothing.  Never: keeps state.
 * Source: yamux specification (hashicorp/yamux spec.md): version 0, type, flags, stream id and
 * length in network order.  FRAME_ACK is ours: it tells the peer how many bytes of the tunnel have
 * been received, so that it may forget them; the 64-bit offset stands in the fields stream:length. */
#ifndef TELEPRESENCE_FRAME_H
#define TELEPRESENCE_FRAME_H

#include <stdint.h>

enum { FRAME_HEADER = 12 };

enum frame_type { FRAME_DATA = 0, FRAME_WINDOW = 1, FRAME_PING = 2, FRAME_GOAWAY = 3, FRAME_ACK = 16 };

enum frame_flag { FRAME_SYN = 1, FRAME_SYNACK = 2, FRAME_FIN = 4, FRAME_RST = 8 };

struct frame {
	uint8_t type;
	uint16_t flags;
	uint32_t stream;
	uint32_t length; /* DATA: payload bytes; WINDOW: credit; PING: opaque; GOAWAY: code */
};

/* 0, or -EPROTO for another version, type or flag than the specification has. */
int frame_take(const uint8_t head[static FRAME_HEADER], struct frame *out);
void frame_make(uint8_t head[static FRAME_HEADER], const struct frame *frame);

#endif
