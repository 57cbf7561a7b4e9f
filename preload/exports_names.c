/* The names of libc that ask for names.  One line each; what they do is in names.c, hosts.c, records.c.
 *
 * Called by: the program and its libraries, through the dynamic linker (exports.map).
 * Owns: nothing.  Never: decides. */
#include "export.h"
#include "hooks.h"
#include "records.h"

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
#endif

/* The prototypes are those of resolver(3). */
#define RESOLVER_TYPES(prefix)                                                                     \
	int prefix##nsend(res_state, const unsigned char *, int, unsigned char *, int);            \
	int prefix##send(const unsigned char *, int, unsigned char *, int);                        \
	int prefix##nquery(res_state, const char *, int, int, unsigned char *, int);               \
	int prefix##query(const char *, int, int, unsigned char *, int);                           \
	int prefix##nsearch(res_state, const char *, int, int, unsigned char *, int);              \
	int prefix##search(const char *, int, int, unsigned char *, int);                          \
	int prefix##nquerydomain(res_state, const char *, const char *, int, int, unsigned char *, \
				 int);                                                             \
	int prefix##querydomain(const char *, const char *, int, int, unsigned char *, int);

#define RESOLVER(prefix)                                                                           \
	EXPORT(int, prefix##nsend)(res_state state, const unsigned char *query, int len,             \
				 unsigned char *answer, int room)                                  \
	{                                                                                          \
		return records_send(state, query, len, answer, room);                               \
	}                                                                                          \
	EXPORT(int, prefix##send)(const unsigned char *query, int len, unsigned char *answer,        \
				int room)                                                          \
	{                                                                                          \
		res_state state = resolver_state();                                                  \
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
		res_state state = resolver_state();                                                  \
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
		res_state state = resolver_state();                                                  \
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
		res_state state = resolver_state();                                                  \
                                                                                                   \
		return state == NULL ? -1                                                          \
				     : records_querydomain(state, name, domain, class, type,        \
							  answer, room);                           \
	}

#ifdef __APPLE__
RESOLVER_TYPES(res_9_)
RESOLVER(res_9_)
/* Older ones of libSystem's. */
EXPORT_ALSO(res_9_query, "res_query", _of_system);
EXPORT_ALSO(res_9_search, "res_search", _of_system);
#else
/* Under the names of libc from 2.34 on, and under those of libresolv before. */
RESOLVER(res_)
RESOLVER_TYPES(__res_)
RESOLVER(__res_)
#endif
