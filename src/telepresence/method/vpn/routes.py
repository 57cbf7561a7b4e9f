"""Ranges that are redirected, and what the laptop has of its own inside them.

Called by: method/vpn.
Owns: nothing.
Never: changes a route.
"""

import asyncio
import ipaddress
import json
import logging
import shutil
import sys
from collections.abc import Iterable
from typing import Any

from telepresence.method.vpn.firewall import Network
from telepresence.method.vpn.netstat import take_netstat

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0


def take_routes(listed: list[dict[str, Any]]) -> dict[Network, str]:
    """`ip -json route` (or netstat.py): the laptop's own networks, and the device of each; no
    default routes."""
    found: dict[Network, str] = {}
    for route in listed:
        to = str(route.get("dst", "default"))
        if to == "default" or route.get("type", "unicast") not in ("unicast", "local"):
            continue
        network = ipaddress.ip_network(to, strict=False)
        if network.prefixlen >= 8:  # 0.0.0.0/1 and 128.0.0.0/1 are a VPN's way to say default
            found[network] = str(route.get("dev", "?"))
    return found


async def observe_routes() -> dict[Network, str]:
    """Empty where there is no ip(8), and no netstat(1) that speaks as macOS's."""
    listed: list[dict[str, Any]] = []
    if sys.platform == "darwin":
        for family in ("inet", "inet6"):
            listed += take_netstat((await _said("netstat", "-rn", "-f", family)).decode())
        return take_routes(listed)
    for option in ("-4", "-6"):
        listed += json.loads(await _said("ip", option, "-json", "route", "show") or b"[]")
    return take_routes(listed)


async def _said(name: str, *words: str) -> bytes:
    """Nothing where there is no such program."""
    program = shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        return b""
    process = await asyncio.create_subprocess_exec(program, *words, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(TIMEOUT_S):
        out, _ = await process.communicate()
    return out


def device_of(address: str, routes: dict[Network, str]) -> str:
    """Of the most special route to the address that is not a default one; "" when there is none."""
    try:
        to = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    holding = [route for route in routes if to in route]
    return routes[max(holding, key=lambda route: route.prefixlen)] if holding else ""


def inside(ranges: Iterable[Network], routes: dict[Network, str]) -> dict[Network, str]:
    """The laptop's networks that lie in a range: longest prefix wins, so they stay the laptop's."""
    return {
        route: device
        for route, device in routes.items()
        for wide in ranges
        if route.version == wide.version and route.subnet_of(wide)  # type: ignore[arg-type] # same
    }


def around(
    ranges: Iterable[Network], routes: dict[Network, str]
) -> dict[Network, tuple[Network, str]]:
    """Ranges that lie in one of the laptop's networks: these addresses are the cluster's now."""
    return {
        narrow: (route, device)
        for narrow in ranges
        for route, device in routes.items()
        if route.version == narrow.version and route != narrow and narrow.subnet_of(route)  # type: ignore[arg-type] # same
    }


def outside(ranges: Iterable[Network], kept: Iterable[Network]) -> tuple[Network, ...]:
    """The ranges that do not lie in one that is kept, as they are."""
    kept = list(kept)
    return tuple(
        narrow
        for narrow in ranges
        if not any(narrow.version == wide.version and narrow.subnet_of(wide) for wide in kept)  # type: ignore[arg-type] # same
    )


def without(ranges: Iterable[Network], kept: Iterable[Network]) -> tuple[Network, ...]:
    """The ranges with holes in them."""
    left = list(ranges)
    for hole in kept:
        before, left = left, []
        for wide in before:
            if wide.version != hole.version or not wide.overlaps(hole):
                left.append(wide)
            elif hole.prefixlen > wide.prefixlen:
                left += wide.address_exclude(hole)  # type: ignore[arg-type] # one version
    return tuple(left)
