"""Find the name servers that programs of this laptop ask.

Called by: method/vpn.
Owns: nothing.
Never: asks one; writes a file.
"""

import ipaddress
import logging
from collections.abc import Iterable
from pathlib import Path

from telepresence.method.vpn.names import Address

log = logging.getLogger(__name__)

RESOLV_CONF = Path("/etc/resolv.conf")
# systemd-resolved: resolv.conf names its stub; these are the servers behind it, which programs
# reach when they ask it over D-Bus (nss-resolve).
BEHIND_THE_STUB = Path("/run/systemd/resolve/resolv.conf")
DEFAULT = ipaddress.ip_address("127.0.0.1")  # resolv.conf(5): without a nameserver line


def take_nameservers(text: str) -> list[Address]:
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                found.append(ipaddress.ip_address(words[1]))
            except ValueError:
                log.warning("resolv.conf names the server %r, which is no address", words[1])
    return found


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def observe_nameservers(paths: Iterable[Path] = (RESOLV_CONF, BEHIND_THE_STUB)) -> list[Address]:
    """Each once, in the order in which they are asked."""
    first, *more = [_read(path) for path in paths]
    found = take_nameservers(first or "") or [DEFAULT]
    for text in more:
        # Another network namespace has another resolv.conf, but the same /run.
        if text is not None and any(address.is_loopback for address in found):
            found += take_nameservers(text)
    return list(dict.fromkeys(found))
