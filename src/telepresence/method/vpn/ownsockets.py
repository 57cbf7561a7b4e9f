"""Sockets for our own questions to the laptop's name servers, which the rules let through.

Called by: server.py; pfrules.py and packetrules' callers know the marks.
Owns: nothing; whoever opens one closes it.
Never: imports anything of ours: what knows the marks runs as root.

A mark is a DSCP value where rules can tell one exactly (nft, iptables).  pf on macOS takes any bit
in common for a match (xnu, bsd/net/pf.c, PFRULE_TOS), and its rules for translation know no DSCP:
there a mark is the first of PORTS source ports, below those that the kernel gives to others
(49152: sysctl net.inet.ip.portrange.first).
"""

import ipaddress
import random
import socket

PORTS = 2048  # as many questions as may be under way at once (server.py)
PORT_MARKS = range(32_768, 49_152, PORTS)
TRIES = 64  # of ports; more than half of them would have to be in use
_chance = random.SystemRandom()  # who would forge an answer has to guess it

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def open_marked(address: Address, kind: socket.SocketKind, mark: int) -> socket.socket:
    """Not connected, not blocking.  OSError: none of the ports is free."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = socket.socket(family, kind)
    try:
        if mark in PORT_MARKS:
            _bind(sock, mark)
        elif address.version == 4:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, mark << 2)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, mark << 2)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind(sock: socket.socket, first: int) -> None:
    for left in reversed(range(TRIES)):
        try:
            sock.bind(("", first + _chance.randrange(PORTS)))
        except OSError:
            if not left:
                raise
        else:
            return
