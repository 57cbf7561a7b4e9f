/* What every part of the shim was told at load.
 *
 * Called by: everything that leaves this machine.  Owns: the settings, constant after the load.
 * Never: read before shim.c's constructor has run; until then nothing leaves. */
#ifndef TELEPRESENCE_PRELOAD_SHIM_H
#define TELEPRESENCE_PRELOAD_SHIM_H

#include "settings.h"

/* NULL without valid settings: then there is no way out of this machine. */
extern const struct settings *shim_settings;

#endif
