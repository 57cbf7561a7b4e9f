/* IP packets as bytes: the segment that opens a TCP connection, and what may answer it.
 *
 * Called by: hold.c and udp_redirect.c, which send them through raw sockets (raw(7)).
 * Owns: nothing; every buffer belongs to the caller.
 * Never: touches a socket; sees IPv4 fragments or IPv6 extension headers but to refuse them.
 *
 * Sources: RFC 791, 792, 768, 9293 (TCP), 8200 (IPv6), 4443 (ICMPv6).  The kernel fills in the length and
 * the checksum of an IPv4 header that is sent through a raw socket, and nothing else. */
#ifndef TELEPRESENCE_PACKET_H
#define TELEPRESENCE_PACKET_H

#include "address.h"

enum {
	PACKET_SYN_MAX = 60 + 60, /* the longest headers of IPv4 and TCP */
	PACKET_ANSWER_MAX = 128,  /* an ICMP error about it */
	PACKET_HEAD_MAX = 40 + 8, /* of a datagram */
};

/* What was asked for, and where its parts are. */
struct packet_syn {
	union address from, to;
	uint32_t sequence;
	size_t head_len; /* of IP */
	size_t len;	 /* of both headers; data that came along (TCP Fast Open) is left out */
};

/* 0, or -EPROTO: no SYN, or one that is cut off. */
int packet_take_syn(const uint8_t *packet, size_t len, struct packet_syn *out);
/* The same without its data and with a true checksum, which a network card would have added. */
void packet_complete_syn(uint8_t *packet, const struct packet_syn *syn);
/* Answers to it; each returns the length. */
size_t packet_make_reset(uint8_t out[PACKET_ANSWER_MAX], const struct packet_syn *syn);

enum packet_reason { PACKET_NO_NETWORK, PACKET_NO_HOST, PACKET_PROHIBITED };
size_t packet_make_unreachable(uint8_t out[PACKET_ANSWER_MAX], const uint8_t *packet,
			       const struct packet_syn *syn, enum packet_reason reason);
/* What goes before a datagram's payload. */
size_t packet_make_datagram(uint8_t head[PACKET_HEAD_MAX], const union address *from, const union address *to,
			    const uint8_t *payload, size_t len);

#endif
