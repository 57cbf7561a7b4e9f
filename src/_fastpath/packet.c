#include "packet.h"

#include <errno.h>
#include <string.h>

enum {
	V4_HEAD = 20,
	V6_HEAD = 40,
	TCP_HEAD = 20,
	UDP_HEAD = 8,
	ICMP_HEAD = 8,
	HOPS = 64, /* RFC 1700's TTL */
	ICMP = 1,
	ICMP_UNREACHABLE = 3,
	ICMP6 = 58,
	ICMP6_UNREACHABLE = 1,
	FIN_SYN_RST_ACK = 0x17,
	SYN = 0x02,
	RST_ACK = 0x14,
};

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xFFFF);
}

/* RFC 1071, on top of `sum`. */
static uint32_t add(uint32_t sum, const uint8_t *data, size_t len)
{
	for (; len > 1; data += 2, len -= 2) {
		sum += get16(data);
		sum = (sum & 0xFFFF) + (sum >> 16);
	}
	if (len == 1)
		sum += (uint32_t)data[0] << 8;
	return (sum & 0xFFFF) + (sum >> 16);
}

static const uint8_t *host(const union address *addr, size_t *len)
{
	bool v4 = addr->any.sa_family == AF_INET;

	*len = v4 ? 4 : 16;
	return v4 ? (const uint8_t *)&addr->v4.sin_addr : (const uint8_t *)&addr->v6.sin6_addr;
}

/* The pseudo-header, of both versions the same words in another order. */
static uint32_t pseudo(const union address *from, const union address *to, uint8_t protocol, size_t len)
{
	size_t size;
	const uint8_t *source = host(from, &size), *target = host(to, &size);
	uint32_t sum = (uint32_t)protocol + (uint32_t)(len >> 16) + (uint32_t)(len & 0xFFFF);

	return add(add(sum, source, size), target, size);
}

static void finish(uint8_t *at, uint32_t sum)
{
	put16(at, ~sum & 0xFFFF);
}

static size_t make_head(uint8_t *out, const union address *from, const union address *to, uint8_t protocol,
			size_t len)
{
	bool v4 = from->any.sa_family == AF_INET;
	size_t size, total = v4 ? V4_HEAD : V6_HEAD;
	const uint8_t *source = host(from, &size), *target = host(to, &size);

	memset(out, 0, total);
	if (v4) {
		out[0] = 0x45;
		put16(out + 2, total + len);
		out[8] = HOPS;
		out[9] = protocol;
		memcpy(out + 12, source, size);
		memcpy(out + 16, target, size);
	} else {
		out[0] = 0x60;
		put16(out + 4, len);
		out[6] = protocol;
		out[7] = HOPS;
		memcpy(out + 8, source, size);
		memcpy(out + 24, target, size);
	}
	return total;
}

/* The length of an IP header with TCP behind it, or 0; fills in the addresses. */
static size_t take_head(const uint8_t *packet, size_t len, struct packet_syn *out)
{
	size_t head;

	memset(out, 0, sizeof *out);
	if (len >= V4_HEAD && packet[0] >> 4 == 4) {
		head = (size_t)(packet[0] & 15) * 4;
		if (head < V4_HEAD || packet[9] != IPPROTO_TCP || (get16(packet + 6) & 0x3FFF) != 0)
			return 0;
		out->from.v4.sin_family = out->to.v4.sin_family = AF_INET;
		memcpy(&out->from.v4.sin_addr, packet + 12, 4);
		memcpy(&out->to.v4.sin_addr, packet + 16, 4);
		return head;
	}
	if (len < V6_HEAD || packet[0] >> 4 != 6 || packet[6] != IPPROTO_TCP)
		return 0;
	out->from.v6.sin6_family = out->to.v6.sin6_family = AF_INET6;
	memcpy(&out->from.v6.sin6_addr, packet + 8, 16);
	memcpy(&out->to.v6.sin6_addr, packet + 24, 16);
	return V6_HEAD;
}

int packet_take_syn(const uint8_t *packet, size_t len, struct packet_syn *out)
{
	size_t head = take_head(packet, len, out), tcp_len;
	const uint8_t *tcp = packet + head;

	if (head == 0 || len < head + TCP_HEAD || (tcp[13] & FIN_SYN_RST_ACK) != SYN)
		return -EPROTO;
	tcp_len = (size_t)(tcp[12] >> 4) * 4;
	if (tcp_len < TCP_HEAD || len < head + tcp_len)
		return -EPROTO;
	address_set_port(&out->from, get16(tcp));
	address_set_port(&out->to, get16(tcp + 2));
	out->sequence = (uint32_t)get16(tcp + 4) << 16 | get16(tcp + 6);
	out->head_len = head;
	out->len = head + tcp_len;
	return 0;
}

void packet_complete_syn(uint8_t *packet, const struct packet_syn *syn)
{
	uint8_t *tcp = packet + syn->head_len;
	size_t tcp_len = syn->len - syn->head_len;

	if (syn->from.any.sa_family == AF_INET6)
		put16(packet + 4, tcp_len);
	put16(tcp + 16, 0);
	finish(tcp + 16, add(pseudo(&syn->from, &syn->to, IPPROTO_TCP, tcp_len), tcp, tcp_len));
}

size_t packet_make_reset(uint8_t out[PACKET_ANSWER_MAX], const struct packet_syn *syn)
{
	size_t head = make_head(out, &syn->to, &syn->from, IPPROTO_TCP, TCP_HEAD);
	uint8_t *tcp = out + head;

	memset(tcp, 0, TCP_HEAD);
	put16(tcp, address_port(&syn->to));
	put16(tcp + 2, address_port(&syn->from));
	put32(tcp + 8, syn->sequence + 1);
	tcp[12] = TCP_HEAD / 4 << 4;
	tcp[13] = RST_ACK;
	finish(tcp + 16, add(pseudo(&syn->to, &syn->from, IPPROTO_TCP, TCP_HEAD), tcp, TCP_HEAD));
	return head + TCP_HEAD;
}

size_t packet_make_unreachable(uint8_t out[PACKET_ANSWER_MAX], const uint8_t *packet,
			       const struct packet_syn *syn, enum packet_reason reason)
{
	/* RFC 792, 1812 section 5.2.7.1; RFC 4443 section 3.1 */
	static const uint8_t codes4[] = {0, 1, 13}, codes6[] = {0, 3, 1};
	bool v4 = syn->from.any.sa_family == AF_INET;
	size_t quoted = syn->head_len + 8, len = ICMP_HEAD + quoted; /* ports and sequence */
	size_t head = make_head(out, &syn->to, &syn->from, v4 ? ICMP : ICMP6, len);
	uint8_t *icmp = out + head;

	memset(icmp, 0, ICMP_HEAD);
	icmp[0] = v4 ? ICMP_UNREACHABLE : ICMP6_UNREACHABLE;
	icmp[1] = v4 ? codes4[reason] : codes6[reason];
	memcpy(icmp + ICMP_HEAD, packet, quoted);
	finish(icmp + 2, add(v4 ? 0 : pseudo(&syn->to, &syn->from, ICMP6, len), icmp, len));
	return head + len;
}

size_t packet_make_datagram(uint8_t head[PACKET_HEAD_MAX], const union address *from, const union address *to,
			    const uint8_t *payload, size_t len)
{
	size_t ip_len = make_head(head, from, to, IPPROTO_UDP, UDP_HEAD + len);
	uint8_t *udp = head + ip_len;
	uint32_t sum = pseudo(from, to, IPPROTO_UDP, UDP_HEAD + len);

	put16(udp, address_port(from));
	put16(udp + 2, address_port(to));
	put16(udp + 4, UDP_HEAD + len);
	put16(udp + 6, 0);
	sum = add(add(sum, udp, UDP_HEAD), payload, len);
	finish(udp + 6, sum);
	if (get16(udp + 6) == 0) /* 0 would say that there is none (RFC 768) */
		put16(udp + 6, 0xFFFF);
	return ip_len + UDP_HEAD;
}
