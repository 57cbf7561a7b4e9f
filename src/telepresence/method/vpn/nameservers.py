"""Find the name servers that programs of this laptop ask.

Called by: method/vpn.
Owns: nothing.
Never: asks one; writes a file.
"""

import ipaddress
import logging
import re
import subprocess
import sys
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


def take_scutil(text: str) -> list[Address]:
    """`scutil --dns`: the servers of each resolver that is asked at port 53."""
    found: list[str] = []
    for resolver in re.split(r"^resolver #", text, flags=re.M)[1:]:
        ports = re.findall(r"^ *port *: *(\d+)", resolver, re.M)
        if ports in ([], ["53"]):
            found += re.findall(r"^ *nameserver\[\d+\] *: *(\S+)", resolver, re.M)
    return take_nameservers("".join(f"nameserver {address}\n" for address in found))


def _scutil() -> str:
    """macOS: what mDNSResponder asks, by domain and by network; resolv.conf has the first alone."""
    try:
        done = subprocess.run(
            ["/usr/sbin/scutil", "--dns"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def observe_nameservers(paths: Iterable[Path] = (RESOLV_CONF, BEHIND_THE_STUB)) -> list[Address]:
    """Each once, in the order in which they are asked."""
    first, *more = [_read(path) for path in paths]
    found = take_nameservers(first or "")
    if sys.platform == "darwin":
        found += take_scutil(_scutil())
    found = found or [DEFAULT]
    for text in more:
        # Another network namespace has another resolv.conf, but the same /run.
        if text is not None and any(address.is_loopback for address in found):
            found += take_nameservers(text)
    return list(dict.fromkeys(found))
