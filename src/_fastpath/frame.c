#include "frame.h"

#include <errno.h>

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

int frame_take(const uint8_t head[static FRAME_HEADER], struct frame *out)
{
	out->type = head[1];
	out->flags = (uint16_t)(head[2] << 8 | head[3]);
	out->stream = get32(head + 4);
	out->length = get32(head + 8);
	if (head[0] != 0 || (out->type > FRAME_GOAWAY && out->type != FRAME_ACK))
		return -EPROTO;
	if ((out->flags & ~(FRAME_SYN | FRAME_SYNACK | FRAME_FIN | FRAME_RST)) != 0)
		return -EPROTO;
	return 0;
}

void frame_make(uint8_t head[static FRAME_HEADER], const struct frame *frame)
{
	head[0] = 0;
	head[1] = frame->type;
	head[2] = (uint8_t)(frame->flags >> 8);
	head[3] = (uint8_t)frame->flags;
	put32(head + 4, frame->stream);
	put32(head + 8, frame->length);
}
