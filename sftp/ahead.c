#include "ahead.h"

#include "files.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* So many files of ours may be open in the pod: RLIMIT_NOFILE is 1024 in many. */
enum { OPEN_AT_ONCE = 256 };

/* A listing that waits until its links are looked up. */
struct listing { uint32_t client_id; size_t links; size_t n_bytes; unsigned char body[]; };

enum step { LOOKING, OPENING, READING };
struct fetch {
	enum step step;
	struct fetch *next;       /* in the line of those that wait to be opened */
	char *path;
	struct file *file;        /* not yet while LOOKING */
	struct listing *listing;  /* LOOKING: whose link it is, and where its attributes are */
	size_t attrs_at, attrs_len;
};

struct directory { struct directory *next; char *path; size_t len; unsigned char handle[]; };

struct ahead {
	struct relay *relay;
	char *const *volumes;
	struct files files;
	struct directory *directories;  /* that are open */
	struct fetch *first, **last;
	size_t n_open;
};

static void *must(void *memory)
{
	if (memory == NULL)
		_Exit(1);
	return memory;
}

struct ahead *ahead_open(struct relay *r, char *const *volumes)
{
	struct ahead *h = must(calloc(1, sizeof *h));
	h->relay = r;
	h->volumes = volumes;
	h->last = &h->first;
	return h;
}

static struct cursor cursor_of(const void *bytes, size_t n_bytes)
{
	return (struct cursor){ bytes, n_bytes, false };
}

/* sshfs says "/." for the root of all and never ends another path in a slash. */
static char *path_of(struct text text)
{
	if (is_text(text, "/.", 2))
		text.len = 0;
	char *path = must(malloc(text.len + 1));
	if (text.len > 0)
		memcpy(path, text.at, text.len);
	path[text.len] = '\0';
	return path;
}

static bool is_in_volume(const struct ahead *h, const char *path)
{
	for (char *const *volume = h->volumes; *volume != NULL; volume++) {
		size_t len = strlen(*volume);
		if (strncmp(path, *volume, len) == 0 && (path[len] == '/' || path[len] == '\0'))
			return true;
	}
	return false;
}

static struct directory **find_directory(struct ahead *h, struct text handle)
{
	struct directory **at = &h->directories;
	while (*at != NULL && !is_text(handle, (*at)->handle, (*at)->len))
		at = &(*at)->next;
	return at;
}

char *ahead_path(struct ahead *h, uint8_t type, struct cursor body)
{
	if (type != FXP_OPENDIR && type != FXP_READDIR)
		return NULL;
	struct text text = take_text(&body);
	if (type == FXP_OPENDIR && !body.broken) {
		char *path = path_of(text);
		if (is_in_volume(h, path))
			return path;
		free(path);
		return NULL;
	}
	struct directory *directory = *find_directory(h, text);
	return directory == NULL ? NULL : must(strdup(directory->path));
}

/* ---- what the client asks ---- */

static void answer_attrs(struct ahead *h, uint32_t id, const struct content *content)
{
	relay_answer(h->relay, FXP_ATTRS, id, content->attrs, content->attrs_len);
}

static void open_here(struct ahead *h, uint32_t id, struct content *content)
{
	unsigned char body[4 + HANDLE_BYTES] = { 0, 0, 0, HANDLE_BYTES };
	files_open(&h->files, content, body + 4);
	relay_answer(h->relay, FXP_HANDLE, id, body, sizeof body);
}

static void read_here(struct ahead *h, uint32_t id, const struct content *content, struct cursor c)
{
	uint64_t offset = take_u64(&c);
	size_t len = take_u32(&c);
	if (offset >= content->len) {
		relay_status(h->relay, id, FX_EOF);
		return;
	}
	if (len > content->len - (size_t)offset)
		len = content->len - (size_t)offset;
	struct queue body = { 0 };
	queue_put_u32(&body, (uint32_t)len);
	queue_put(&body, content->data + offset, len);
	relay_answer(h->relay, FXP_DATA, id, body.at, queue_held(&body));
	free(body.at);
}

static bool knows_handle(struct ahead *h, uint8_t type, uint32_t id, struct cursor c)
{
	struct text handle = take_text(&c);
	struct content *content = files_opened(&h->files, handle);
	if (content == NULL) {
		if (type == FXP_CLOSE) {
			struct directory **at = find_directory(h, handle), *gone = *at;
			if (gone != NULL) {
                *at = gone->next;
				free(gone->path);
				free(gone);
			}
		}
		return false;
	}
	if (type == FXP_READ) {
		read_here(h, id, content, c);
	} else if (type == FXP_FSTAT) {
		answer_attrs(h, id, content);
	} else {
		files_close(&h->files, handle);
		relay_status(h->relay, id, FX_OK);
	}
	return true;
}

static bool knows_path(struct ahead *h, uint8_t type, uint32_t id, const unsigned char *body,
					   size_t n_bytes)
{
	struct cursor c = cursor_of(body, n_bytes);
	struct file *file = files_find(&h->files, take_text(&c));
	if (file == NULL || file->is_stale)
		return false;
	if (!file_is_here(file)) {
		if (type == FXP_STAT)
			return false;
		struct waiter *waiter = must(malloc(sizeof *waiter + n_bytes));
        *waiter = (struct waiter){ .next = file->waiters, .id = id, .n_bytes = n_bytes };
		memcpy(waiter->body, body, n_bytes);
		file->waiters = waiter;
		return true;
	}
	if (now_s() - file->fetched_at > FRESH_S) {
		files_remove(&h->files, file);
		return false;
	}
	if (type == FXP_STAT)
		answer_attrs(h, id, file->content);
	else
		open_here(h, id, file->content);
	return true;
}

bool ahead_knows(struct ahead *h, uint8_t type, uint32_t id, const unsigned char *body,
				 size_t n_bytes)
{
	struct cursor c = cursor_of(body, n_bytes);
	switch (type) {
	case FXP_CLOSE:
	case FXP_READ:
	case FXP_FSTAT:
		return knows_handle(h, type, id, c);
	case FXP_OPEN:
		take_text(&c);
		if (take_u32(&c) == OPEN_READ)
			return knows_path(h, type, id, body, n_bytes);
		files_forget(&h->files);
		return false;
	case FXP_STAT:
		return knows_path(h, type, id, body, n_bytes);
	case FXP_LSTAT:
	case FXP_OPENDIR:
	case FXP_READDIR:
	case FXP_READLINK:
	case FXP_REALPATH:
		return false;
	default:  /* a change, or what this file does not know */
		files_forget(&h->files);
		return false;
	}
}

/* ---- what is fetched ---- */

static void ask(struct ahead *h, struct fetch *f, uint8_t type, struct queue *body)
{
	relay_ask(h->relay, OURS, type, 0, body->at, queue_held(body))->fetch = f;
	free(body->at);
}

static void put_text(struct queue *q, const void *bytes, size_t len)
{
	queue_put_u32(q, (uint32_t)len);
	queue_put(q, bytes, len);
}

static void open_next(struct ahead *h)
{
	while (h->first != NULL && h->n_open < OPEN_AT_ONCE && !h->relay->lost) {
		struct fetch *f = h->first;
		struct queue body = { 0 };
		if ((h->first = f->next) == NULL)
			h->last = &h->first;
		f->next = NULL;
		f->step = OPENING;
		h->n_open++;
		put_text(&body, f->path, strlen(f->path));
		queue_put_u32(&body, OPEN_READ);
		queue_put_u32(&body, 0);
		ask(h, f, FXP_OPEN, &body);
	}
}

static void forget(struct fetch *f)
{
	free(f->path);
	free(f);
}

/* Files without a size are not what they seem: those of /proc say 0 and have something to read. */
static bool want(struct ahead *h, struct fetch *f, struct attrs attrs)
{
	if (!attrs.has_mode || !attrs.has_size || !S_ISREG(attrs.mode) || attrs.size == 0
		|| attrs.size > SMALL_BYTES)
		return false;
	f->file = files_add(&h->files, f->path, attrs);
	if (f->file == NULL)
		return false;
    *h->last = f;
	h->last = &f->next;
	return true;
}

/* Whoever waited for the file gets it, or asks the server after all. */
static void finish(struct ahead *h, struct fetch *f, const void *data)
{
	struct file *file = f->file;
	struct waiter *waiters = file->waiters, *next;
	struct content *content = file->content;
	h->n_open--;
	file->waiters = NULL;
	forget(f);
	bool is_good = data != NULL && !file->is_stale;
	if (is_good)
		files_fill(&h->files, file, data);
	else
		files_remove(&h->files, file);
	for (; waiters != NULL; waiters = next) {
		next = waiters->next;
		if (is_good)
			open_here(h, waiters->id, content);
		else
			relay_forward(h->relay, FXP_OPEN, waiters->id, waiters->body, waiters->n_bytes);
		free(waiters);
	}
}

void ahead_give_up(struct ahead *h)
{
	for (struct fetch *f = h->first, *next; f != NULL; f = next) {
		next = f->next;
		h->n_open++;
		finish(h, f, NULL);
	}
	h->first = NULL;
	h->last = &h->first;
}

static void release(struct ahead *h, struct listing *l)
{
	if (l->links > 0)
		return;
	relay_answer(h->relay, FXP_NAME, l->client_id, l->body, l->n_bytes);
	free(l);
}

static void looked_up(struct ahead *h, struct fetch *f, uint8_t type, struct cursor c)
{
	struct listing *listing = f->listing;
	struct attrs attrs = type == FXP_ATTRS ? take_attrs(&c) : (struct attrs){ 0 };
	bool is_good = type == FXP_ATTRS && !c.broken;
	if (is_good && attrs.bytes.len == f->attrs_len)
		memcpy(listing->body + f->attrs_at, attrs.bytes.at, attrs.bytes.len);
	if (!is_good || !want(h, f, attrs))
		forget(f);
	listing->links--;
	release(h, listing);
}

static void opened(struct ahead *h, struct fetch *f, const unsigned char *body, size_t n_bytes)
{
	struct queue read = { 0 };
	f->step = READING;
	queue_put(&read, body, n_bytes);
	queue_put_u32(&read, 0);
	queue_put_u32(&read, 0);
	queue_put_u32(&read, SMALL_BYTES + 1);
	ask(h, f, FXP_READ, &read);
	relay_ask(h->relay, OURS, FXP_CLOSE, 0, body, n_bytes);
}

void ahead_fetched(struct ahead *h, struct fetch *f, uint8_t type, const unsigned char *body,
				   size_t n_bytes)
{
	struct cursor c = cursor_of(body, n_bytes);
	if (f->step == LOOKING) {
		looked_up(h, f, type, c);
	} else if (f->step == OPENING && type == FXP_HANDLE) {
		opened(h, f, body, n_bytes);
	} else {
		struct text data = type == FXP_DATA ? take_text(&c) : (struct text){ 0 };
		bool is_whole = type == FXP_DATA && !c.broken && data.len == f->file->content->len;
		finish(h, f, is_whole ? data.at : NULL);
	}
	open_next(h);
}

/* Each name of the listing that is a small file is wanted, each link is looked up first. */
static void fetch_all(struct ahead *h, const char *directory, struct listing *l)
{
	struct cursor c = cursor_of(l->body, l->n_bytes);
	for (uint32_t n = take_u32(&c); n > 0; n--) {
		struct text name = take_text(&c);
		take_text(&c);
		struct attrs attrs = take_attrs(&c);
		if (c.broken)
			return;
		bool is_link = attrs.has_mode && S_ISLNK(attrs.mode);
		bool is_file = attrs.has_mode && S_ISREG(attrs.mode);
		if ((!is_link && !is_file) || h->files.n_files >= KEPT_FILES)
			continue;
		struct fetch *f = must(calloc(1, sizeof *f));
		size_t len = strlen(directory);
		f->path = must(malloc(len + name.len + 2));
		memcpy(f->path, directory, len);
		f->path[len] = '/';
		memcpy(f->path + len + 1, name.at, name.len);
		f->path[len + 1 + name.len] = '\0';
		if (is_link) {
			f->listing = l;
			f->attrs_at = (size_t)(attrs.bytes.at - l->body);
			f->attrs_len = attrs.bytes.len;
			l->links++;
			struct queue body = { 0 };
			put_text(&body, f->path, strlen(f->path));
			ask(h, f, FXP_STAT, &body);
		} else if (!want(h, f, attrs)) {
			forget(f);
		}
	}
}

bool ahead_holds(struct ahead *h, struct asked *a, uint8_t type, const unsigned char *body,
				 size_t n_bytes)
{
	if (a->path == NULL)
		return false;
	if (a->type == FXP_OPENDIR && type == FXP_HANDLE) {
		struct cursor c = cursor_of(body, n_bytes);
		struct text handle = take_text(&c);
		struct directory *directory = must(malloc(sizeof *directory + handle.len));
        *directory = (struct directory){ h->directories, a->path, handle.len };
		memcpy(directory->handle, handle.at, handle.len);
		a->path = NULL;
		h->directories = directory;
		return false;
	}
	if (a->type != FXP_READDIR || type != FXP_NAME)
		return false;
	struct listing *l = must(malloc(sizeof *l + n_bytes));
    *l = (struct listing){ .client_id = a->client_id, .links = 1, .n_bytes = n_bytes };
	memcpy(l->body, body, n_bytes);
	fetch_all(h, a->path, l);
	l->links--;
	release(h, l);
	open_next(h);
	return true;
}
