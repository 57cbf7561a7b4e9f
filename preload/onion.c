#include "onion.h"

#include <stdatomic.h>
#include <string.h>
#include <strings.h>

#include "shim.h"

/* RFC 7686.  A version 3 name has 62 bytes, and may have others before it. */
enum { NAMES_MAX = 256, NAME_MAX_LEN = 127 };

static char names[NAMES_MAX][NAME_MAX_LEN + 1];
static _Atomic bool written[NAMES_MAX]; /* and stays */
static _Atomic unsigned used;		/* given out, if not yet written */

static unsigned room(void)
{
	unsigned most = (1u << (32 - shim_settings->onion_bits)) - 1;

	return most < NAMES_MAX ? most : NAMES_MAX;
}

static bool is_onion(const char *name)
{
	static const char end[] = ".onion";
	size_t len = strlen(name);

	return len >= sizeof end && len <= NAME_MAX_LEN && shim_settings != NULL &&
	       !shim_settings->pipeline && strcasecmp(name + len - (sizeof end - 1), end) == 0;
}

/* Two threads that ask for one name at once get an address each, and both are right. */
static bool place(const char *name, unsigned *i)
{
	unsigned n = atomic_load(&used);

	for (*i = 0; *i < n && *i < room(); ++*i)
		if (atomic_load(&written[*i]) && strcasecmp(names[*i], name) == 0)
			return true;
	if (n >= room())
		return false;
	*i = atomic_fetch_add(&used, 1);
	if (*i >= room())
		return false;
	strcpy(names[*i], name);
	atomic_store(&written[*i], true);
	return true;
}

bool onion_address(const char *name, struct socks5_addr *out)
{
	uint32_t address;
	unsigned i;

	if (!is_onion(name) || !place(name, &i))
		return false;
	address = shim_settings->onion_net + 1 + i;
	*out = (struct socks5_addr){.atyp = SOCKS5_IPV4, .host_len = 4};
	for (int byte = 0; byte < 4; byte++)
		out->host[byte] = (uint8_t)(address >> (24 - 8 * byte));
	return true;
}

const char *onion_name(const struct socks5_addr *addr)
{
	uint32_t address = 0;

	if (atomic_load(&used) == 0 || addr->atyp != SOCKS5_IPV4)
		return NULL;
	for (int byte = 0; byte < 4; byte++)
		address = address << 8 | addr->host[byte];
	address -= shim_settings->onion_net + 1;
	return address < room() && atomic_load(&written[address]) ? names[address] : NULL;
}
