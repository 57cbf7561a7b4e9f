/* Records of the DNS through every function of resolver(3).   records HOW TYPE NAME [DOMAIN] */
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int ask(const char *how, int type, const char *name, const char *domain,
	       unsigned char *answer, int room)
{
	struct __res_state state = {0};
	unsigned char query[512];
	int len;

	if (res_ninit(&state) == -1)
		return -2;
	if (strcmp(how, "query") == 0)
		return res_query(name, ns_c_in, type, answer, room);
	if (strcmp(how, "nquery") == 0)
		return res_nquery(&state, name, ns_c_in, type, answer, room);
	if (strcmp(how, "search") == 0)
		return res_search(name, ns_c_in, type, answer, room);
	if (strcmp(how, "nsearch") == 0)
		return res_nsearch(&state, name, ns_c_in, type, answer, room);
	if (strcmp(how, "querydomain") == 0)
		return res_querydomain(name, domain, ns_c_in, type, answer, room);
	if (strcmp(how, "nquerydomain") == 0)
		return res_nquerydomain(&state, name, domain, ns_c_in, type, answer, room);
	len = res_mkquery(ns_o_query, name, ns_c_in, type, NULL, 0, NULL, query, sizeof query);
	if (strcmp(how, "send") == 0)
		return res_send(query, len, answer, room);
	if (strcmp(how, "nsend") == 0)
		return res_nsend(&state, query, len, answer, room);
	return -2;
}

static void say(ns_msg *message, ns_rr *record)
{
	char name[NS_MAXDNAME] = "";
	const unsigned char *data = ns_rr_rdata(*record);
	int skip = ns_rr_type(*record) == ns_t_srv ? 6 : ns_rr_type(*record) == ns_t_mx ? 2 : 0;

	if (ns_rr_type(*record) == ns_t_txt) {
		printf("txt %.*s\n", data[0], data + 1);
		return;
	}
	if (ns_rr_type(*record) == ns_t_a) {
		printf("a %d.%d.%d.%d\n", data[0], data[1], data[2], data[3]);
		return;
	}
	if (ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message), data + skip, name,
			       sizeof name) > 0)
		printf("type %d port %d name %s\n", ns_rr_type(*record),
		       skip == 6 ? data[4] << 8 | data[5] : 0, name);
}

int main(int argc, char **argv)
{
	unsigned char answer[NS_MAXMSG];
	ns_msg message;
	ns_rr record;
	int len;

	if (argc < 4)
		return 2;
	len = ask(argv[1], atoi(argv[2]), argv[3], argc > 4 ? argv[4] : NULL, answer,
		  sizeof answer);
	if (len < 0) {
		printf("error %d\n", h_errno);
		return 0;
	}
	if (ns_initparse(answer, len, &message) == -1)
		return 3;
	printf("rcode %d answers %d\n", ns_msg_getflag(message, ns_f_rcode),
	       ns_msg_count(message, ns_s_an));
	for (int i = 0; i < ns_msg_count(message, ns_s_an); i++)
		if (ns_parserr(&message, ns_s_an, i, &record) == 0)
			say(&message, &record);
	return 0;
}
