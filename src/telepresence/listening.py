"""Which ports of this machine somebody listens on, and a wait for that to change.

Called by: exposure.py.
Owns: nothing.
Never: connects to a port, which the program there would notice.

The kernel tells nobody when a socket begins to listen, so it is asked again and again: the one
poll of the project.  Source: proc(5), /proc/net/tcp.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTEN = "0A"  # include/net/tcp_states.h
# Loopback or any, as these tables write them: IPv4 in host order, IPv6 in words of it.
_HERE = {"0100007F", "00000000", "0" * 32, "0" * 24 + "01000000",
         "0000000000000000FFFF00000100007F"}  # fmt: skip
PAUSE_S = 0.2


def listened_on() -> set[int] | None:
    """Ports that localhost can reach; None: this system has no such tables."""
    found = set()
    for table in TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except FileNotFoundError:
            if table is TABLES[0]:
                return None
            continue
        for line in lines:
            fields = line.split(None, 4)
            address, _, port = fields[1].partition(":")
            if fields[3] == _LISTEN and address in _HERE:
                found.add(int(port, 16))
    return found


async def changes(ports: frozenset[int]) -> AsyncIterator[set[int]]:
    """Those of the ports that are listened on, at first and after each change."""
    last: set[int] | None = None
    while (found := listened_on()) is not None:
        now = found & ports
        if now != last:
            last = now
            yield now
        await asyncio.sleep(PAUSE_S)
    yield set(ports)
