/* Let ASan start before anything else does: preloaded behind libasan.so.
 *
 * It starts with the first malloc(3) there is.  In curl, git, psql and wget that is newlocale(3)'s, in
 * a constructor of p11-kit, under the lock of the locale; ASan's search for a symbol that does not
 * exist asks gettext(3) for the words of the error, which takes the same lock and leaves it broken
 * (GCC 12, glibc 2.36).  The linker gives this library's constructor the first turn (-z initfirst). */
#include <stdlib.h>

static void *volatile first;

__attribute__((constructor)) static void start(void)
{
	first = malloc(1);
	free(first);
}
