#include "real.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>

static const char *const texts[REAL_COUNT] = {
#define REAL_TEXT(name) #name,
	REAL_NAMES(REAL_TEXT)
#undef REAL_TEXT
};
static _Atomic(void *) found[REAL_COUNT];

void *real_find(enum real_name name)
{
	void *address = atomic_load_explicit(&found[name], memory_order_acquire);

	if (address == NULL) {
		address = dlsym(RTLD_NEXT, texts[name]);
		atomic_store_explicit(&found[name], address, memory_order_release);
	}
	return address;
}
