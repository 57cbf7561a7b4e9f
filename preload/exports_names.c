/* The names of libc that ask for names.  One line each; what they do is in names.c, hosts.c, records.c.
 *
 * Called by: the program and its libraries, through the dynamic linker (exports.map).
 * Owns: nothing.  Never: decides. */
#include "export.h"
#include "hooks.h"

EXPORT(int, getaddrinfo)(const char *name, const char *service, const struct addrinfo *hints,
			 struct addrinfo **out)
{
	return tp_getaddrinfo(name, service, hints, out);
}

EXPORT(struct hostent *, gethostbyname)(const char *name)
{
	return tp_gethostbyname(name, AF_UNSPEC);
}

EXPORT(struct hostent *, gethostbyname2)(const char *name, int family)
{
	return tp_gethostbyname(name, family);
}

EXPORT(int, getnameinfo)(const struct sockaddr *restrict addr, socklen_t len, char *restrict host,
			 socklen_t host_len, char *restrict service, socklen_t service_len,
			 int flags)
{
	return tp_getnameinfo(addr, len, host, host_len, service, service_len, flags);
}

EXPORT(struct hostent *, gethostbyaddr)(const void *addr, socklen_t len, int family)
{
	return tp_gethostbyaddr(addr, len, family);
}

#ifdef __linux__
#include "records.h"

EXPORT(int, gethostbyname_r)(const char *name, struct hostent *host, char *buf, size_t room,
			     struct hostent **out, int *h_error)
{
	return tp_gethostbyname_r(name, AF_UNSPEC, host, buf, room, out, h_error);
}

EXPORT(int, gethostbyname2_r)(const char *name, int family, struct hostent *host, char *buf,
			      size_t room, struct hostent **out, int *h_error)
{
	return tp_gethostbyname_r(name, family, host, buf, room, out, h_error);
}

EXPORT(int, gethostbyaddr_r)(const void *restrict addr, socklen_t len, int family,
			     struct hostent *restrict host, char *restrict buf, size_t room,
			     struct hostent **restrict out, int *restrict h_error)
{
	return tp_gethostbyaddr_r(addr, len, family, host, buf, room, out, h_error);
}

/* Under the names of libc from 2.34 on, and under those of libresolv before. */
#define RESOLVER(prefix)                                                                           \
	EXPORT(int, prefix##nsend)(res_state state, const unsigned char *query, int len,             \
				 unsigned char *answer, int room)                                  \
	{                                                                                          \
		return records_send(state, query, len, answer, room);                               \
	}                                                                                          \
	EXPORT(int, prefix##send)(const unsigned char *query, int len, unsigned char *answer,        \
				int room)                                                          \
	{                                                                                          \
		res_state state = records_state();                                                  \
                                                                                                   \
		return state == NULL ? -1 : records_send(state, query, len, answer, room);          \
	}                                                                                          \
	EXPORT(int, prefix##nquery)(res_state state, const char *name, int class, int type,          \
				  unsigned char *answer, int room)                                 \
	{                                                                                          \
		return records_query(state, name, class, type, answer, room);                       \
	}                                                                                          \
	EXPORT(int, prefix##query)(const char *name, int class, int type, unsigned char *answer,     \
				 int room)                                                         \
	{                                                                                          \
		res_state state = records_state();                                                  \
                                                                                                   \
		return state == NULL ? -1 : records_query(state, name, class, type, answer, room);  \
	}                                                                                          \
	EXPORT(int, prefix##nsearch)(res_state state, const char *name, int class, int type,         \
				   unsigned char *answer, int room)                                \
	{                                                                                          \
		return records_search(state, name, class, type, answer, room);                      \
	}                                                                                          \
	EXPORT(int, prefix##search)(const char *name, int class, int type, unsigned char *answer,    \
				  int room)                                                        \
	{                                                                                          \
		res_state state = records_state();                                                  \
                                                                                                   \
		return state == NULL ? -1 : records_search(state, name, class, type, answer, room); \
	}                                                                                          \
	EXPORT(int, prefix##nquerydomain)(res_state state, const char *name, const char *domain,     \
					int class, int type, unsigned char *answer, int room)      \
	{                                                                                          \
		return records_querydomain(state, name, domain, class, type, answer, room);         \
	}                                                                                          \
	EXPORT(int, prefix##querydomain)(const char *name, const char *domain, int class, int type,  \
				       unsigned char *answer, int room)                            \
	{                                                                                          \
		res_state state = records_state();                                                  \
                                                                                                   \
		return state == NULL ? -1                                                          \
				     : records_querydomain(state, name, domain, class, type,        \
							  answer, room);                           \
	}

RESOLVER(res_)
int __res_nsend(res_state state, const unsigned char *query, int len, unsigned char *answer, int room);
int __res_send(const unsigned char *query, int len, unsigned char *answer, int room);
int __res_nquery(res_state state, const char *name, int class, int type, unsigned char *answer,
		 int room);
int __res_query(const char *name, int class, int type, unsigned char *answer, int room);
int __res_nsearch(res_state state, const char *name, int class, int type, unsigned char *answer,
		  int room);
int __res_search(const char *name, int class, int type, unsigned char *answer, int room);
int __res_nquerydomain(res_state state, const char *name, const char *domain, int class, int type,
		       unsigned char *answer, int room);
int __res_querydomain(const char *name, const char *domain, int class, int type,
		      unsigned char *answer, int room);
RESOLVER(__res_)
#endif
