/* Bytes of SFTP: a queue that grows, and a cursor that never reads past its end.
 * Source: draft-ietf-secsh-filexfer-02 (version 3), which sshfs and OpenSSH speak.
 * Called by: every file of this folder.  Owns: the memory of a queue.  Never: a descriptor. */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FXP_INIT = 1, FXP_VERSION, FXP_OPEN, FXP_CLOSE, FXP_READ, FXP_WRITE, FXP_LSTAT, FXP_FSTAT,
	FXP_SETSTAT, FXP_FSETSTAT, FXP_OPENDIR, FXP_READDIR, FXP_REMOVE, FXP_MKDIR, FXP_RMDIR,
	FXP_REALPATH, FXP_STAT, FXP_RENAME, FXP_READLINK, FXP_SYMLINK,
	FXP_STATUS = 101, FXP_HANDLE, FXP_DATA, FXP_NAME, FXP_ATTRS,
	FXP_EXTENDED = 200,
};
enum { FX_OK = 0, FX_EOF = 1, FX_NO_CONNECTION = 6 };
enum { OPEN_READ = 1 };
/* sftp-server's largest is 256 KiB of data and a header. */
enum { PACKET_BYTES = 1 << 19 };

struct queue { unsigned char *at; size_t begin, end, size; };

/* Room for so many bytes behind the end: at + end.  Ends the process when memory has run out:
 * its two ends see an end of file, which they know how to bear. */
void queue_reserve(struct queue *q, size_t more);
void queue_drop(struct queue *q, size_t n_bytes);
void queue_put(struct queue *q, const void *bytes, size_t n_bytes);
void queue_put_u32(struct queue *q, uint32_t value);
static inline size_t queue_held(const struct queue *q) { return q->end - q->begin; }

struct text { const unsigned char *at; size_t len; };
bool is_text(struct text text, const void *bytes, size_t n_bytes);

/* `broken` once more was asked for than there is; what was taken then is empty or 0. */
struct cursor { const unsigned char *at; size_t left; bool broken; };

uint32_t take_u32(struct cursor *c);
uint64_t take_u64(struct cursor *c);
struct text take_text(struct cursor *c);  /* never at NULL */

struct attrs { struct text bytes; bool has_size, has_mode; uint64_t size; uint32_t mode; };
struct attrs take_attrs(struct cursor *c);

#endif
