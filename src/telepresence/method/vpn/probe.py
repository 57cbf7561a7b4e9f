"""Wait until the laptop's programs can look cluster names up, and learn how they ask.

Called by: method/vpn/whole.py.
Owns: nothing.
Never: waits where an answer has said how it is.

A name that starts with `hellotelepresence` is looked up as programs do it, by libc.  What comes to
our name server shows which search domains the laptop's resolver appends.  When the bare name comes
as well (libc asks for it last), nothing has to be taken off names; when only longer ones come
(systemd-resolved never sends a single label), those endings are learned.
"""

import asyncio
import contextlib
import logging
import secrets
import socket

from telepresence.console import Console
from telepresence.errors import MethodError
from telepresence.method.vpn.names import PROBE, PodNames
from telepresence.method.vpn.nameservers import hosts_line, observe_nameservers, swallows_local
from telepresence.method.vpn.resolver import Resolver

log = logging.getLogger(__name__)

TRIES = 3
LOOKUP_TIMEOUT_S = 8.0  # resolv.conf(5): 5 s a server, and a search domain or two


async def _lookup(name: str) -> bool:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(LOOKUP_TIMEOUT_S):
            found = await loop.getaddrinfo(name, None, family=socket.AF_INET)
            return any(entry[4][0] == "127.0.0.1" for entry in found)
    return False


async def wait_ready(resolver: Resolver, names: PodNames, console: Console) -> None:
    """MethodError names the reason: which resolver, which setting."""
    if swallows_local(hosts_line()):
        console.hint(
            "names that end in .local never reach a name server on this machine (mdns in "
            "/etc/nsswitch.conf): use SERVICE.NAMESPACE or SERVICE.NAMESPACE.svc"
        )
    for _ in range(TRIES):
        name = f"{PROBE.decode()}-{secrets.token_hex(4)}"  # a new one: "does not exist" is kept
        if await _lookup(name):
            log.info("names work; forms seen: %s", resolver.probes)
            return
        label = name.encode()
        forms = [labels for labels in resolver.probes if labels[0] == label]
        endings = {labels[1:] for labels in forms if len(labels) > 1}
        if (label,) not in forms and endings:
            learned = {*resolver.suffixes, *endings}
            resolver.suffixes = tuple(sorted(learned, key=len, reverse=True))
            log.info("the laptop's resolver appends %s", resolver.suffixes)
    if await _lookup(f"{PROBE.decode()}-{secrets.token_hex(4)}.{names.namespace.decode()}.svc"):
        console.hint(
            "names of one label do not reach a name server on this machine: use SERVICE.NAMESPACE"
        )
        return
    servers = ", ".join(map(str, observe_nameservers()))
    came = "came to ours but got no answer through" if resolver.probes else "never came to"
    raise MethodError(
        f"names cannot be looked up: a question for the laptop's name servers ({servers}) {came} "
        f"{'libc' if resolver.probes else 'ours'}; /etc/nsswitch.conf says '{hosts_line()}'",
        hint="does the laptop's resolver use DNS over TLS or another way past port 53?  "
        "--method inject-tcp needs none of it.",
    )
