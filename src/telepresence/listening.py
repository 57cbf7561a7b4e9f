"""Which ports of this machine somebody listens on.

Called by: exposure.py.
Owns: nothing.
Never: connects to a port, which the program there would notice.

The kernel tells nobody when a socket begins to listen, so it is asked when somebody wants to know:
at each readiness probe.  Source: proc(5), /proc/net/tcp.
"""

from pathlib import Path

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTEN = "0A"  # include/net/tcp_states.h
# Loopback or any, as these tables write them: IPv4 in host order, IPv6 in words of it.
_HERE = {"0100007F", "00000000", "0" * 32, "0" * 24 + "01000000",
         "0000000000000000FFFF00000100007F"}  # fmt: skip


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
