/* Packets: any SYN is read as it was made, its answers carry true checksums, and nothing that is cut off
 * or changed is read beyond its end.  Each buffer has exactly its length on the heap.
 *   fuzz_packets [ROUNDS [SEED]] */
#include "../../fuzz.h"
#include "packet.h"

/* RFC 1071 over pseudo-header and data, the plain way: right if it comes to 0xFFFF. */
static bool sums_up(const uint8_t *packet, size_t head, size_t len, uint8_t protocol)
{
	bool v4 = packet[0] >> 4 == 4;
	const uint8_t *addresses = packet + (v4 ? 12 : 8);
	size_t addresses_len = v4 ? 8 : 32, body = len - head;
	uint64_t sum = protocol == 1 ? 0 : protocol + body;

	for (size_t i = 0; i < addresses_len && protocol != 1; i++)
		sum += (uint64_t)addresses[i] << (i % 2 == 0 ? 8 : 0);
	for (size_t i = 0; i < body; i++)
		sum += (uint64_t)packet[head + i] << (i % 2 == 0 ? 8 : 0);
	while (sum >> 16 != 0)
		sum = (sum & 0xFFFF) + (sum >> 16);
	return sum == 0xFFFF;
}

/* A SYN with options and data of any length; returns its length. */
static size_t make_syn(uint8_t *out, bool v4, size_t *head, size_t *headers)
{
	size_t options = draw(11) * 4, data = draw(64);

	*head = v4 ? 20 + draw(11) * 4 : 40;
	*headers = *head + 20 + options;
	for (size_t i = 0; i < *headers + data; i++)
		out[i] = (uint8_t)draw(256);
	out[0] = (uint8_t)(v4 ? 0x40 | *head / 4 : 0x60);
	if (v4) {
		out[6] = 0x40; /* do not fragment */
		out[7] = 0;
		out[9] = IPPROTO_TCP;
	} else {
		out[6] = IPPROTO_TCP;
	}
	out[*head + 12] = (uint8_t)((20 + options) / 4 << 4);
	out[*head + 13] = 0x02 | 0xC0; /* with ECN, RFC 3168 */
	return *headers + data;
}

static void check_answers(const uint8_t *packet, const struct packet_syn *syn, bool v4)
{
	uint8_t answer[PACKET_ANSWER_MAX];
	size_t head = v4 ? 20 : 40, addresses = v4 ? 4 : 16, first = v4 ? 12 : 8;
	size_t len = packet_make_reset(answer, syn);

	must(len == head + 20 && sums_up(answer, head, len, IPPROTO_TCP), "a reset with its checksum");
	must(memcmp(answer + first, packet + first + addresses, addresses) == 0, "from where it went");
	must(memcmp(answer + first + addresses, packet + first, addresses) == 0, "to where it came from");
	len = packet_make_unreachable(answer, packet, syn, (enum packet_reason)draw(3));
	must(len <= PACKET_ANSWER_MAX && sums_up(answer, head, len, v4 ? 1 : 58), "an ICMP error with its checksum");
	must(memcmp(answer + head + 8, packet, syn->head_len + 8) == 0, "which quotes the packet");
}

static void check_syn(bool v4)
{
	uint8_t made[256], *packet;
	struct packet_syn syn;
	size_t head, headers, len = make_syn(made, v4, &head, &headers);

	packet = exactly(made, len);
	must(packet_take_syn(packet, len, &syn) == 0 && syn.len == headers && syn.head_len == head, "a SYN is read");
	must(address_port(&syn.to) == (packet[head + 2] << 8 | packet[head + 3]), "and its port");
	packet_complete_syn(packet, &syn);
	must(sums_up(packet, head, syn.len, IPPROTO_TCP), "it has its checksum");
	check_answers(packet, &syn, v4);
	free(packet);
	len = draw((uint32_t)headers);
	packet = exactly(made, len);
	must(packet_take_syn(packet, len, &syn) != 0, "what is cut off is none");
	free(packet);
	made[draw((uint32_t)headers)] = (uint8_t)draw(256);
	packet = exactly(made, headers);
	if (packet_take_syn(packet, headers, &syn) == 0) {
		must(syn.len <= headers, "within its end");
		packet_complete_syn(packet, &syn);
	}
	free(packet);
}

static void check_datagram(bool v4)
{
	uint8_t whole[PACKET_HEAD_MAX + 64], head[PACKET_HEAD_MAX];
	union address from, to;
	size_t len = draw(64), head_len;
	uint8_t *payload;

	memset(&from, 0, sizeof from);
	memset(&to, 0, sizeof to);
	from.any.sa_family = to.any.sa_family = v4 ? AF_INET : AF_INET6;
	for (size_t i = 0; i < len; i++)
		whole[i] = (uint8_t)draw(256);
	payload = exactly(whole, len);
	address_set_port(&from, (uint16_t)draw(65536));
	address_set_port(&to, (uint16_t)draw(65536));
	head_len = packet_make_datagram(head, &from, &to, payload, len);
	memcpy(whole, head, head_len);
	memcpy(whole + head_len, payload, len);
	must(head_len == (v4 ? 28u : 48u) && sums_up(whole, head_len - 8, head_len + len, IPPROTO_UDP),
	     "a datagram with its checksum");
	free(payload);
}

int main(int argc, char **argv)
{
	long rounds = fuzz_start(argc, argv, 5000);

	for (long i = 0; i < rounds; i++) {
		check_syn(i % 2 == 0);
		check_datagram(i % 2 == 0);
	}
	return 0;
}
