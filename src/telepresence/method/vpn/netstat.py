"""Read the routes of a BSD or of macOS, as netstat(1) prints them.

Called by: routes.py.
Owns: nothing.
Never: runs a program.
"""

import ipaddress
from collections.abc import Iterator

_CLASSES = {1: 8, 2: 16, 3: 24, 4: 32}  # netstat leaves away what a classful mask has not
# netstat(1): of a neighbour, was cloned from another, rejected, swallowed.
_NOT_NETWORKS = "LWRB"


def _network(destination: str) -> str:
    """`10.10.10/24`, `127`, `169.254`, `fe80::%en0/64` in full; ValueError: something else."""
    host, slash, width = destination.partition("/")
    host = host.partition("%")[0]
    if ":" not in host:
        octets = host.split(".")
        width = width if slash else str(_CLASSES[len(octets)])
        host = ".".join((octets + ["0"] * 3)[:4])
    elif not slash:
        width = "128"
    return str(ipaddress.ip_network(f"{host}/{width}", strict=False))


def take_netstat(text: str) -> Iterator[dict[str, str]]:
    """`netstat -rn`, as routes.take_routes() wants it: the networks of interfaces and of gateways,
    without loopback, multicast and the hosts of the neighbourhood."""
    device = None
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["Destination"]:
            device = words.index("Netif")
        elif device is not None and len(words) > device:
            destination, flags, name = words[0], words[2], words[device]
            if name.startswith("lo") or destination == "default" or {*flags} & {*_NOT_NETWORKS}:
                continue
            try:
                to = _network(destination)
            except (ValueError, KeyError):
                continue
            first = ipaddress.ip_network(to).network_address
            if not first.is_multicast and to != "255.255.255.255/32":
                yield {"dst": to, "dev": name}
