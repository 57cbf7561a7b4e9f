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
from telepresence.method.vpn.nameservers import observe_nameservers
from telepresence.method.vpn.nsswitch import hosts_line, swallower
from telepresence.method.vpn.resolver import Resolver

log = logging.getLogger(__name__)

TRIES = 3
LOOKUP_TIMEOUT_S = 8.0  # resolv.conf(5): 5 s a server, and a search domain or two
MULTICAST_TIMEOUT_S = 2.0  # who waits for longer waits for multicast


def _new_name() -> str:
    """One that nobody has asked for: "does not exist" is kept by many."""
    return f"{PROBE.decode()}-{secrets.token_hex(4)}"


async def _lookup(name: str, timeout_s: float = LOOKUP_TIMEOUT_S) -> bool:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(timeout_s):
            found = await loop.getaddrinfo(name, None, family=socket.AF_INET)
            return any(entry[4][0] == "127.0.0.1" for entry in found)
    return False


async def _tell_of_local(names: PodNames, console: Console) -> None:
    """Whether the cluster's domain reaches us, where a file says that it might not."""
    domain = b".".join(names.domain).decode()
    found = swallower(hosts_line(), domain)
    if found is not None and not await _lookup(f"{_new_name()}.{domain}", MULTICAST_TIMEOUT_S):
        console.hint(
            f"names that end in .{domain} do not get through libc: {found.reason}; use "
            f"SERVICE.NAMESPACE.svc, or {found.advice}"
        )


async def wait_ready(resolver: Resolver, names: PodNames, console: Console) -> None:
    """MethodError names the reason: which resolver, which setting."""
    for _ in range(TRIES):
        name = _new_name()
        if await _lookup(name):
            log.info("names work; forms seen: %s", resolver.probes)
            await _tell_of_local(names, console)
            return
        label = name.encode()
        forms = [labels for labels in resolver.probes if labels[0] == label]
        endings = {labels[1:] for labels in forms if len(labels) > 1}
        if (label,) not in forms and endings:
            learned = {*resolver.suffixes, *endings}
            resolver.suffixes = tuple(sorted(learned, key=len, reverse=True))
            log.info("the laptop's resolver appends %s", resolver.suffixes)
    if await _lookup(f"{_new_name()}.{names.namespace.decode()}.svc"):
        console.hint(
            "names of one label do not reach a name server on this machine: use SERVICE.NAMESPACE"
        )
        await _tell_of_local(names, console)
        return
    raise _unready(resolver)


def _unready(resolver: Resolver) -> MethodError:
    servers = ", ".join(map(str, observe_nameservers()))
    if resolver.probes:
        what = f"for the laptop's name servers ({servers}) came, and the answer did not get through"
    else:
        what = f"for the laptop's name servers ({servers}) never came to port 53"
    line = hosts_line()  # macOS has no such file
    said = f"; /etc/nsswitch.conf says '{line}'" if line else ""
    return MethodError(
        f"names cannot be looked up: a question of libc {what}{said}",
        hint="does a resolver use DNS over TLS or another way past port 53, or is 'dns' missing in "
        "nsswitch.conf?  -m inject-tcp needs none of it",
    )
