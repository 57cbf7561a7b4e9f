"""Listeners and sockets that the rules lead to, in the hands of the engine.

Called by: method/vpn.
Owns: each until the caller's stack is left.
Never: makes a rule, or needs a privilege.
"""

import logging
import socket
from collections.abc import Callable, Iterable

from telepresence.fastpath import ConnectHold, DatagramRedirect, Engine, RedirectServer, Tunnel

log = logging.getLogger(__name__)

BACKLOG = 512


def _listen(host: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family, backlog=BACKLOG)


def open_doors(
    engine: Engine,
    tunnel: Tunnel,
    at_end: Callable[[Callable[[], None]], object],
    sockets: dict[str, socket.socket],
    versions: Iterable[int],
) -> dict[int, int]:
    """The port for TCP of each version; 0: none.  IPv6 only where this machine has it.

    What it takes of `sockets` (rootsockets.py) is no longer in there."""
    ports = {4: 0, 6: 0}
    for version in sorted(versions):
        try:
            door = _listen("127.0.0.1" if version == 4 else "::1")
        except OSError as exc:
            log.info("no IPv%d on this machine: %s", version, exc)
            continue
        asked = sockets.pop(f"ask{version}", None)
        server = RedirectServer(engine, door, tunnel=tunnel, asked=asked)
        at_end(server.close)
        ports[version] = server.port
        if f"udp{version}" in sockets:
            raw = sockets[f"raw{version}"].dup()
            datagrams = DatagramRedirect(engine, sockets.pop(f"udp{version}"), raw, tunnel=tunnel)
            at_end(datagrams.close)
    if "log" in sockets and "raw4" in sockets:
        six = sockets.pop("raw6", None)
        hold = ConnectHold(engine, sockets.pop("log"), sockets.pop("raw4"), six, tunnel=tunnel)
        at_end(hold.close)
    return ports
