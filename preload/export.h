/* How the shim takes a name of libc: EXPORT(type, name)(arguments) { ... }
 *
 * Called by: exports*.c.  Owns: nothing.  Never: decides.
 *
 * On Linux it is a symbol of that name, which the dynamic linker finds before libc's (exports.map
 * lists them).  On macOS, whose linker binds a symbol to a library, it is an entry of the table
 * that dyld reads (dyld(1), DYLD_INSERT_LIBRARIES): the replacement, what it replaces.  There the
 * shim's own calls are not replaced, so that libc's name inside the shim is libc's function. */
#ifndef TELEPRESENCE_PRELOAD_EXPORT_H
#define TELEPRESENCE_PRELOAD_EXPORT_H

#ifdef __APPLE__
struct interposed {
	const void *replacement, *replaced;
};

#define INTERPOSE(replacement, replaced)                                                           \
	__attribute__((used, section("__DATA,__interpose,interposing"))) static const struct interposed        \
		interposed_##replaced = {(const void *)&replacement, (const void *)&replaced}

/* The same function under a second symbol: without a cancellation point, or by another standard. */
#define EXPORT_ALSO(name, symbol, suffix)                                                          \
	extern __typeof__(name) name##suffix __asm("_" symbol);                                     \
	INTERPOSE(hook_##name, name##suffix)

#define EXPORT(type, name)                                                                         \
	static __typeof__(name) hook_##name;                                                       \
	INTERPOSE(hook_##name, name);                                                              \
	static type hook_##name
#else
#define EXPORT(type, name) __attribute__((visibility("default"))) type name
#endif

#endif
