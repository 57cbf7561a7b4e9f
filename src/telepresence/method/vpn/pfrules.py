"""Rules for pf(4) on macOS: sshuttle's, with ours for names in the same anchor.

Called by: privileged.py.
Owns: an anchor for each family, and a reference that keeps pf enabled, both through sshuttle.
Never: touches pf's main rules.  The anchors hang where Apple's own do, in com.apple, all of which
/etc/pf.conf has evaluated, by name; so the newest session's name comes first.

sshuttle by itself would add calls of its anchors to the main rules and leave them there, and where
lo0 is skipped would write the main rules anew.  It also sorts exclusions behind what they are
excluded from, although the first rule that fits decides (`quick`); so holes are cut before it sees
the ranges.
"""

import ipaddress
import os
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any

from telepresence.method.vpn.ownsockets import PORT_MARKS, PORTS

V4 = 2  # AF_INET
Subnet = tuple[int, int, bool, str, int, int]  # family, width, excluded, address, ports
PARENT = "com.apple"
_ORDER = {"table": 0, "rdr": 1, "pass": 2}  # pf.conf(5): translation before filtering
# The records of src/_fastpath/meant.h.
QUESTION, ANSWER = struct.Struct("!BxHH16s16s"), struct.Struct("!BxH16s")


def with_holes(subnets: Iterable[Subnet]) -> list[Subnet]:
    """The same without exclusions: each is cut out of what it lies in."""
    subnets = list(subnets)
    nets = [(ipaddress.ip_network(f"{s[3]}/{s[1]}"), s) for s in subnets]
    holes: list[Any] = [net for net, (_, _, excluded, *_) in nets if excluded]
    found = []
    for wide, (family, _, excluded, _, first, last) in nets:
        left: list[Any] = [] if excluded else [wide]
        for hole in holes:
            if hole.version == wide.version and hole.subnet_of(wide):
                left = [part for each in left for part in _cut(each, hole)]
        for part in left:
            place = str(part.network_address)
            found.append((family, part.prefixlen, False, place, first, last))
    return found


def _cut(net: Any, hole: Any) -> list[Any]:
    if net.subnet_of(hole):
        return []
    return [*net.address_exclude(hole)] if hole.subnet_of(net) else [net]


def name_rules(family: int, nslist: Iterable[tuple[int, str]]) -> list[str]:
    """What goes to port 53 of these addresses comes to our ports, but for sessions' own questions,
    this one's and the older ones': theirs have lower ports."""
    version, host = ("inet", "127.0.0.1") if family == V4 else ("inet6", "::1")
    rules = []
    for family_of_entry, entry in nslist:
        if family_of_entry != family:
            continue
        address, port, bypass = entry.split("#")
        marks = [int(mark) for mark in bypass.split("+")]
        others = f"from any port {min(marks)} <> {max(marks) + PORTS - 1} to {address} port 53"
        for protocol in ("udp", "tcp"):
            what = f"{version} proto {protocol} {others}"
            rules.append(f"rdr pass on lo0 {what} -> {host} port {port}")
            if not ipaddress.ip_address(address).is_loopback:  # that is on lo0 by itself
                rules.append(f"pass out quick route-to lo0 {what} keep state")
    return rules


def merged(ours: list[str], theirs: bytes) -> bytes:
    """One text for an anchor: of each kind ours first."""
    lines = [*ours, *theirs.decode("ascii").splitlines()]
    return "".join(f"{x}\n" for x in sorted(lines, key=lambda x: _ORDER[x.split()[0]])).encode()


def mark_of(nslist: Iterable[tuple[int, str]]) -> int:
    """This session's own, the highest."""
    marks = [int(mark) for _, entry in nslist for mark in entry.split("#")[2].split("+")]
    return max(marks, default=PORT_MARKS[0])


def adapt(module: Any, held: int) -> None:
    """Have sshuttle.methods.pf do it our way.  What keeps pf enabled is told to `held`, for whoever
    has to undo it in this process's place."""

    class Names(module.Generic):  # type: ignore[misc] # sshuttle has no types
        own: list[str] = []  # noqa: RUF012 # one a process, as the module's own state
        mark = PORT_MARKS[0]

        def add_rules(self, anchor: str, rules: bytes) -> None:
            super().add_rules(anchor, merged(self.own, rules))

    # The kernel's own class comes first; what it hands to Generic goes through Names.
    class Pf(type(module.pf), Names):  # type: ignore[misc] # see above
        def add_anchors(self, anchor: str) -> None:
            """They are where the main rules look already: unfit() has made sure."""

        def enable(self) -> None:
            tokens = module._pf_context["Xtoken"]
            if not tokens:  # one reference is enough for all anchors
                super().enable()
                os.write(held, b"".join(tokens))

    def anchor_of(family: int, port: int) -> str:
        age = PORT_MARKS[-1] - module.pf.mark
        return f"{PARENT}/telepresence-{age:05}-{4 if family == V4 else 6}-{port}"

    module.pf = Pf()
    module.pf_get_anchor = anchor_of


def remember(module: Any, said: bytes, tokens: bytes) -> None:
    """What another process was told and did, before restore_firewall() in its place."""
    lines = [line.decode("ascii") for line in said.splitlines() if line.count(b"#") == 2]
    module.pf.mark = mark_of((0, line.partition(",")[2]) for line in lines)
    module._pf_context["Xtoken"] = [tokens] if tokens else []


def unfit(module: Any) -> str:
    """Why rules in our anchors would do nothing, "" when they would."""
    hint = "sudo pfctl -f /etc/pf.conf puts back what macOS comes with"
    if module.pf.has_skip_loopback():
        return f"pf leaves lo0 out ('set skip on lo0'); {hint}"
    for kind, anchor in (("rules", "anchor"), ("nat", "rdr-anchor")):
        if f'{anchor} "{PARENT}/*"'.encode() not in module.pfctl(f"-s {kind}")[0]:
            return f'pf\'s main rules have no {anchor} "{PARENT}/*"; {hint}'
    return ""


def with_own_rules(base: Any, module: Any, forget: Callable[[], None]) -> Any:
    """sshuttle's method, driven as the others are (privileged.py)."""

    class Method(base):  # type: ignore[misc] # sshuttle has no types
        made: dict[int, tuple[int, list[tuple[int, str]], list[Subnet]]] = {}  # noqa: RUF012

        def setup_firewall(
            self, port: int, _: int, nslist: Any, family: int, subnets: Any, *__: Any
        ) -> None:
            self.made[family] = port, list(nslist), list(subnets)
            module.pf.mark = mark_of(nslist)
            self._load(family)
            forget()

        def _load(self, family: int) -> None:
            port, nslist, subnets = self.made[family]
            module.pf.own = name_rules(family, nslist)
            nowhere = (family, 32, True, "127.0.0.1", 0, 0) if family == V4 else (
                family, 128, True, "::1", 0, 0)  # fmt: skip
            # sshuttle cannot do without any.
            cut = with_holes(subnets) or [nowhere]
            super().setup_firewall(port, 0, [], family, cut, False, None, None, None)

        def restore_firewall(self, port: int, family: int, *more: Any) -> None:
            super().restore_firewall(port, family, *more)
            forget()

        def firewall_command(self, line: str) -> bool:
            if not line.startswith("ROUTE "):
                return False
            family, width, address = line.removeprefix("ROUTE ").split(",")
            self.made[int(family)][2].append((int(family), int(width), False, address, 0, 0))
            self._load(int(family))
            return True

    return Method


class Lookup:
    """Says where connections were meant to go, to who may not ask pf: src/_fastpath/meant.h."""

    def __init__(self, sock: socket.socket, module: Any) -> None:
        self._sock, self._pf = sock, module
        self._asked = b""

    def fileno(self) -> int:
        return self._sock.fileno()

    def answer(self) -> bool:
        """False: nobody asks any more."""
        try:
            data = self._sock.recv(65_536)
            whole = self._asked + data
            end = len(whole) // QUESTION.size * QUESTION.size
            self._asked = whole[end:]
            self._sock.sendall(b"".join(map(self._look, QUESTION.iter_unpack(whole[:end]))))
        except OSError:
            return False
        return bool(data)

    def _look(self, question: tuple[int, int, int, bytes, bytes]) -> bytes:
        version, program_port, our_port, program, ours = question
        family, size = (socket.AF_INET, 4) if version == 4 else (socket.AF_INET6, 16)
        hosts = [socket.inet_ntop(family, host[:size]) for host in (program, ours)]
        try:
            host, port = self._pf.pf.query_nat(
                family, socket.IPPROTO_TCP, hosts[0], program_port, hosts[1], our_port
            )
        except OSError:  # no state: no rule has turned it
            return ANSWER.pack(0, 0, b"")
        return ANSWER.pack(version, port, socket.inet_pton(family, host))
