#include "files.h"

#include "relay.h"

#include <stdlib.h>
#include <string.h>

static const unsigned char MAGIC[4] = { 't', 'p', 'a', 'h' };  /* the server's handles have 4 bytes in all */

static void *must(void *memory)
{
	if (memory == NULL)
		_Exit(1);
	return memory;
}

/* FNV-1a, 32 bit. */
static size_t bucket_of(const void *path, size_t len)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ ((const unsigned char *)path)[i]) * 16777619u;
	return hash % BUCKETS;
}

static void content_release(struct content *c)
{
	if (--c->refs > 0)
		return;
	free(c->attrs);
	free(c->data);
	free(c);
}

struct file *files_find(struct files *f, struct text path)
{
	struct file *file = f->buckets[bucket_of(path.at, path.len)];
	while (file != NULL && !is_text(path, file->path, strlen(file->path)))
		file = file->next;
	return file;
}

static bool is_old(const struct file *file, double now)
{
	return file_is_here(file) && now - file->fetched_at > FRESH_S;
}

static void drop(struct files *f, bool (*which)(const struct file *, double))
{
	double now = now_s();
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct file *file = f->buckets[i], *next; file != NULL; file = next) {
			next = file->next;
			if (which(file, now))
				files_remove(f, file);
		}
}

struct file *files_add(struct files *f, const char *path, struct attrs attrs)
{
	struct text text = { (const unsigned char *)path, strlen(path) };
	struct file *file = files_find(f, text);
	if (file != NULL && is_old(file, now_s())) {
		files_remove(f, file);
		file = NULL;
	}
	if (f->n_files >= KEPT_FILES || f->n_bytes + attrs.size > KEPT_BYTES)
		drop(f, is_old);
	if (file != NULL || f->n_files >= KEPT_FILES || f->n_bytes + attrs.size > KEPT_BYTES)
		return NULL;
	file = must(calloc(1, sizeof *file));
	file->path = must(strdup(path));
	file->content = must(calloc(1, sizeof *file->content));
    *file->content = (struct content){ .refs = 1, .attrs_len = attrs.bytes.len,
									   .len = (size_t)attrs.size };
	file->content->attrs = must(malloc(attrs.bytes.len));
	memcpy(file->content->attrs, attrs.bytes.at, attrs.bytes.len);
	struct file **head = &f->buckets[bucket_of(path, text.len)];
	file->next = *head;
    *head = file;
	f->n_files++;
	f->n_bytes += file->content->len;
	return file;
}

void files_fill(struct files *f, struct file *file, const void *data)
{
	(void)f;
	file->content->data = must(malloc(file->content->len));
	memcpy(file->content->data, data, file->content->len);
	file->fetched_at = now_s();
}

struct waiter *files_remove(struct files *f, struct file *file)
{
	struct waiter *waiters = file->waiters;
	struct file **at = &f->buckets[bucket_of(file->path, strlen(file->path))];
	while (*at != file)
		at = &(*at)->next;
    *at = file->next;
	f->n_files--;
	f->n_bytes -= file->content->len;
	content_release(file->content);
	free(file->path);
	free(file);
	return waiters;
}

static bool is_here(const struct file *file, double now)
{
	(void)now;
	return file_is_here(file);
}

void files_forget(struct files *f)
{
	if (f->n_files == 0)
		return;
	drop(f, is_here);
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct file *file = f->buckets[i]; file != NULL; file = file->next)
			file->is_stale = true;
}

void files_open(struct files *f, struct content *content, unsigned char handle[HANDLE_BYTES])
{
	uint32_t i = 0;
	while (i < f->n_handles && f->handles[i] != NULL)
		i++;
	if (i == f->n_handles) {
		f->handles = must(realloc(f->handles, (i + 1) * sizeof *f->handles));
		f->n_handles++;
	}
	content->refs++;
	f->handles[i] = content;
	memcpy(handle, MAGIC, sizeof MAGIC);
	memcpy(handle + sizeof MAGIC, &i, sizeof i);
}

static uint32_t number_of(const struct files *f, struct text handle)
{
	uint32_t i;
	if (handle.len != HANDLE_BYTES || memcmp(handle.at, MAGIC, sizeof MAGIC) != 0)
		return UINT32_MAX;
	memcpy(&i, handle.at + sizeof MAGIC, sizeof i);
	return i < f->n_handles && f->handles[i] != NULL ? i : UINT32_MAX;
}

struct content *files_opened(const struct files *f, struct text handle)
{
	uint32_t i = number_of(f, handle);
	return i == UINT32_MAX ? NULL : f->handles[i];
}

void files_close(struct files *f, struct text handle)
{
	uint32_t i = number_of(f, handle);
	if (i == UINT32_MAX)
		return;
	content_release(f->handles[i]);
	f->handles[i] = NULL;
}
