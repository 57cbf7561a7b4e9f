/* One conversation with the SOCKS server, waited for: connect, all messages, the answer.
 *
 * Called by: dial.c (on the program's socket), lookup.c, records.c, datagram.c (on one of its own).
 * Owns: the socket of exchange_open() until it is returned.
 * Never: leaves a socket of its own at a number below 3, which programs take for their terminal.
 *
 * Functions that return an errno leave `errno` itself undefined: the export puts it right. */
#ifndef TELEPRESENCE_PRELOAD_EXCHANGE_H
#define TELEPRESENCE_PRELOAD_EXCHANGE_H

#include <stdint.h>
#include <sys/socket.h>

#include "handshake.h"
#include "socks5.h"

/* On the monotonic clock, in milliseconds. */
enum { EXCHANGE_FOREVER = -1 };
int64_t exchange_deadline(int64_t ms);

/* The server's address in the family of the socket, which is prepared for it; 0 or -errno. */
int exchange_server(int fd, int family, struct sockaddr_storage *out, socklen_t *len);
/* Until the socket has `events`, whatever signals come: 0 or -ETIMEDOUT. */
int exchange_wait(int fd, short events, int64_t deadline);
/* connect(2) to the server, which is on this machine: over at once, but for its full backlog. */
int exchange_reach(int fd, const struct sockaddr_storage *server, socklen_t len, int64_t deadline);
int exchange_send(int fd, const uint8_t *bytes, size_t len, int64_t deadline);
int exchange_receive(int fd, uint8_t *bytes, size_t len, int64_t deadline);
/* All messages and their answers, on a socket that is connected to the server: 0 or -errno. */
int exchange_converse(int fd, const struct handshake *shake, struct socks5_answer *out,
		      int64_t deadline);
/* Make the socket as if it had not been connected, so that the program may try again. */
void exchange_dissolve(int fd);

/* All of it on a new socket, which is returned; -errno. */
int exchange_open(uint8_t cmd, const struct socks5_addr *addr, struct socks5_answer *out,
		  int64_t deadline);
/* The number is out of the way of programs that count on low ones: at `least` if there is room. */
int exchange_aside(int fd, int least);

#endif
