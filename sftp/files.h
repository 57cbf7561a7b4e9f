/* The files that were fetched, by their paths, and the handles on them.
 * Called by: ahead.c.  Owns: all of it; a content lives as long as an entry or a handle has it.
 * Never: a packet. */
#ifndef FILES_H
#define FILES_H

#include "wire.h"

enum { SMALL_BYTES = 32768, KEPT_BYTES = 8 << 20, KEPT_FILES = 4096, BUCKETS = 1024 };
/* sshfs shows a listing for as long (dcache_timeout); the kernel adds a second. */
#define FRESH_S 2.0

struct content { size_t refs, attrs_len, len; unsigned char *attrs, *data; };

/* A packet of the client's that waits for a file. */
struct waiter { struct waiter *next; uint32_t id; size_t n_bytes; unsigned char body[]; };

struct file {
	struct file *next;
	char *path;
	struct content *content;  /* data is NULL until it has been fetched */
	double fetched_at;
	bool is_stale;            /* changed while it was being fetched */
	struct waiter *waiters;
};

struct files {
	struct file *buckets[BUCKETS];
	size_t n_files, n_bytes;
	struct content **handles;
	uint32_t n_handles;
};

struct file *files_find(struct files *f, struct text path);
/* An entry that is still to be fetched; NULL: there is one already, or no room. */
struct file *files_add(struct files *f, const char *path, struct attrs attrs);
void files_fill(struct files *f, struct file *file, const void *data);
/* Returns the packets that wait for it, which the caller owns. */
struct waiter *files_remove(struct files *f, struct file *file);
/* All that is fetched goes, and what is being fetched will. */
void files_forget(struct files *f);
static inline bool file_is_here(const struct file *file) { return file->content->data != NULL; }

enum { HANDLE_BYTES = 8 };
void files_open(struct files *f, struct content *content, unsigned char handle[HANDLE_BYTES]);
/* NULL: it is the server's. */
struct content *files_opened(const struct files *f, struct text handle);
void files_close(struct files *f, struct text handle);

#endif
