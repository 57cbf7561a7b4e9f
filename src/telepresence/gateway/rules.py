"""What turns a container's traffic to the engine: nft's rules as text, routes as bytes.

Called by: gateway/serve.py.
Owns: nothing.
Never: runs nft or opens a socket.

TCP is redirected by NAT.  Datagrams are marked on their way out and so routed back to loopback,
where TPROXY gives them to a socket: NAT would lose where they were meant to go.  A connection
that is older than the rules, as the carrier is, looks new to them, but does not begin with SYN.
Sources: nft(8); Linux, Documentation/networking/tproxy.rst; rtnetlink(7), linux/fib_rules.h.
"""

import socket
import struct
from dataclasses import dataclass

MARK = 0x7E1
TABLE = 0x7E1

_RULES = """\
table inet telepresence {{
  chain connections {{
    type nat hook output priority -100
    fib daddr type local return
    tcp flags & (fin | syn | rst | ack) != syn return
    meta nfproto ipv4 meta l4proto tcp redirect to :{tcp4}
    meta nfproto ipv6 meta l4proto tcp redirect to :{tcp6}
  }}
  chain datagrams {{
    type route hook output priority -150
    ct direction reply return
    fib daddr type {{ local, broadcast, multicast, anycast }} return
    meta l4proto udp meta mark set {mark}
  }}
  chain returning {{
    type filter hook prerouting priority -150
    meta nfproto ipv4 meta mark {mark} meta l4proto udp tproxy ip to 127.0.0.1:{udp4} accept
    meta nfproto ipv6 meta mark {mark} meta l4proto udp tproxy ip6 to [::1]:{udp6} accept
  }}
  chain rest {{
    type filter hook output priority 0
    ct direction reply return
    fib daddr type local return
    icmp type echo-request reject
    icmpv6 type echo-request reject
  }}
}}
"""
# The laptop's ports are for the container, not for the engine's other containers.
_LAPTOPS = """\
add chain inet telepresence entering { type filter hook input priority 0; }
add rule inet telepresence entering iifname != "lo" tcp dport { %s } reject with tcp reset
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Ports of loopback that traffic is turned to; 0: there is no IPv6 here."""

    tcp4: int
    udp4: int
    tcp6: int = 0
    udp6: int = 0


def make_rules(doors: Doors, laptops: tuple[int, ...] = ()) -> str:
    """Input for `nft -f -`.  ICMP is not carried: a ping hears so, and leaves for nowhere.

    `laptops`: ports that lead to the laptop, for loopback alone."""
    rules = _RULES.format(
        mark=MARK, tcp4=doors.tcp4, tcp6=doors.tcp6, udp4=doors.udp4, udp6=doors.udp6
    )
    lines = rules.splitlines(keepends=True)
    kept = "".join(line for line in lines if doors.tcp6 or "nfproto ipv6" not in line)
    return kept + (_LAPTOPS % ", ".join(map(str, laptops)) if laptops else "")


_NEWROUTE, _NEWRULE = 24, 32
_REQUEST, _ACK, _EXCL, _CREATE = 1, 4, 0x200, 0x400
_RTA_TABLE, _RTA_OIF, _RTA_DST = 15, 4, 1
_FRA_FWMARK, _FRA_TABLE = 10, 15
_TABLE_UNSPEC, _TABLE_MAIN = 0, 254
_PROTOCOL_STATIC, _SCOPE_HOST, _SCOPE_UNIVERSE = 4, 254, 0
_TYPE_UNICAST, _TYPE_LOCAL = 1, 2
_TO_TABLE = 1  # fib_rules.h, FR_ACT_TO_TBL


def _attribute(kind: int, value: int) -> bytes:
    return struct.pack("=HHI", 8, kind, value)


def _message(kind: int, body: bytes) -> bytes:
    """rtnetlink(7); the kernel acknowledges each with an error number."""
    flags = _REQUEST | _ACK | _CREATE | _EXCL
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body


def make_mark_rule(family: int) -> bytes:
    """`ip rule add fwmark MARK lookup TABLE`."""
    head = struct.pack("=8BI", family, 0, 0, 0, _TABLE_UNSPEC, 0, 0, _TO_TABLE, 0)
    return _message(_NEWRULE, head + _attribute(_FRA_FWMARK, MARK) + _attribute(_FRA_TABLE, TABLE))


def make_loop_route(family: int, loopback: int) -> bytes:
    """`ip route add local default dev lo table TABLE`; `loopback` is the number of lo."""
    head = struct.pack(
        "=8BI", family, 0, 0, 0, _TABLE_UNSPEC, _PROTOCOL_STATIC, _SCOPE_HOST, _TYPE_LOCAL, 0
    )
    return _message(
        _NEWROUTE, head + _attribute(_RTA_TABLE, TABLE) + _attribute(_RTA_OIF, loopback)
    )


def make_default_route(loopback: int) -> bytes:
    """`ip -6 route add default dev lo`: for a container without IPv6 of a pod with it."""
    head = struct.pack(
        "=8BI",
        socket.AF_INET6, 0, 0, 0, _TABLE_MAIN, _PROTOCOL_STATIC, _SCOPE_UNIVERSE, _TYPE_UNICAST, 0,
    )  # fmt: skip
    return _message(_NEWROUTE, head + _attribute(_RTA_OIF, loopback))


def take_error(answer: bytes) -> int:
    """errno of an acknowledgement, 0: done.  Source: netlink(7), NLMSG_ERROR."""
    _, kind = struct.unpack_from("=IH", answer)
    return -int(struct.unpack_from("=i", answer, 16)[0]) if kind == 2 else 0
