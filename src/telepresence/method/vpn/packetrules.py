"""Rules for whole packets beside sshuttle's: datagrams, and the first packet of a connection.

Called by: privileged.py.
Owns: a table of nft or chains of iptables for each family, an `ip rule` and a table of routes,
from put() to remove().
Never: raises because this kernel lacks something: what cannot be had is said, and left out.

A SYN to our ranges is copied to the log socket and dropped; the engine sends it again, with the
mark `passed`, when the pod has connected.  A datagram is marked `routed`, which an `ip rule` turns
to loopback, where TPROXY gives it to our socket: NAT would lose where it was meant to go.
"""

import contextlib
import subprocess
from collections.abc import Iterable
from typing import Any

V4 = 2  # AF_INET
SYN, UDP = "a connect that is refused", "UDP"
Subnet = tuple[int, int, bool, str, int, int]  # family, width, excluded, address, ports

_NFT = """\
table {ip} {name} {{
  chain ours {{
    {syn}
    {udp}
  }}
  chain going {{
    type route hook output priority -150
    tcp flags & (fin | syn | rst | ack) != syn return
    meta mark {passed} return
    ct direction reply return
    fib daddr type {{ local, broadcast, multicast, anycast }} return
    {choice}
  }}
  chain coming {{
    type filter hook prerouting priority -150
    {tproxy}
  }}
}}
"""

_IPTABLES = """\
*mangle
:{name} - [0:0]
:{name}-ours - [0:0]
{syn}
{udp}
-A {name} -p tcp -m tcp ! --syn -j RETURN
-A {name} -m mark --mark {passed} -j RETURN
-A {name} -m conntrack --ctdir REPLY -j RETURN
-A {name} -m addrtype --dst-type {own} -j RETURN
{choice}
-A OUTPUT -j {name}
{tproxy}
COMMIT
"""

_IPTABLES_GONE = """\
*mangle
-D OUTPUT -j {name}
{tproxy}
-F {name}
-F {name}-ours
-X {name}
-X {name}-ours
COMMIT
"""


def _run(words: list[str], text: str = "") -> None:
    """OSError with the program's own words."""
    done = subprocess.run(words, input=text, text=True, capture_output=True, check=False)
    if done.returncode:
        raise OSError(f"{words[0]}: {' '.join(done.stderr.split())}")


class PacketRules:
    """`numbers` are those of the sockets: ports of udp4 and udp6, the group of log; 0: none."""

    def __init__(self, method: str, number: int, numbers: dict[str, int]) -> None:
        self._nft = method == "nft"
        self._numbers = numbers
        self.passed, self.routed = marks(number)
        self._name = f"telepresence-{number}"
        self._put: dict[int, set[str]] = {}  # by family: what is there

    def put(self, family: int, subnets: Iterable[Subnet], names: Iterable[str]) -> None:
        """All that can be had; what cannot is said to the command, before sshuttle's STARTED."""
        version = 4 if family == V4 else 6
        there = {SYN} if self._numbers.get("log") and self._numbers.get(f"raw{version}") else set()
        there |= {UDP} if self._numbers.get(f"udp{version}") else set()
        subnets, names = list(subnets), list(names)
        missing, why = {SYN, UDP} - there, "no socket for it"
        for kinds in (there, there & {UDP}, there & {SYN}):
            try:
                self._try(family, kinds, subnets, names)
            except OSError as exc:
                missing, why = missing | kinds, str(exc)
                continue
            missing = {SYN, UDP} - kinds
            break
        for kind in sorted(missing):
            print(f"WITHOUT {kind} (IPv{version}): {why}", flush=True)  # noqa: T201 # firewall.py's

    def _try(self, family: int, kinds: set[str], subnets: list[Subnet], names: list[str]) -> None:
        if not kinds:
            return
        self._put[family] = kinds
        try:
            if UDP in kinds:
                route = f"route add local default dev lo table {self.routed}"
                self._ip(family, f"rule add fwmark {self.routed} lookup {self.routed}", route)
            self._load(family, self.text(family, kinds, subnets, names))
        except OSError:
            self.remove(family)
            raise

    def text(self, family: int, kinds: set[str], subnets: list[Subnet], names: list[str]) -> str:
        """Input for nft(8) or iptables-restore(8)."""
        fields = self._nft_words(family) if self._nft else self._iptables_words(family)
        choice = [fields["name_server"].format(address=address) for address in names]
        # As sshuttle sorts them: the most specific first, an exclusion before its equal.
        for _, width, excluded, address, *_ in sorted(subnets, key=lambda s: s[1:3], reverse=True):
            choice.append(fields["out" if excluded else "in"].format(range=f"{address}/{width}"))
        return (_NFT if self._nft else _IPTABLES).format(
            ip="ip" if family == V4 else "ip6",
            own="LOCAL,MULTICAST,ANYCAST" + (",BROADCAST" if family == V4 else ""),
            name=self._name, passed=self.passed,
            syn=fields["syn"] if SYN in kinds else "", udp=fields["udp"] if UDP in kinds else "",
            tproxy=fields["tproxy"] if UDP in kinds else "",
            choice=("\n    " if self._nft else "\n").join(choice),
        )  # fmt: skip

    def _nft_words(self, family: int) -> dict[str, str]:
        ip, loopback = ("ip", "127.0.0.1") if family == V4 else ("ip6", "[::1]")
        port = self._numbers.get("udp4" if family == V4 else "udp6", 0)
        return {
            "syn": "tcp flags & (fin | syn | rst | ack) == syn "
            f"log group {self._numbers.get('log', 0)} queue-threshold 1 drop",
            "udp": f"meta l4proto udp meta mark set {self.routed}",
            "tproxy": f'iifname "lo" meta mark {self.routed} meta l4proto udp '
            f"tproxy to {loopback}:{port} accept",
            "name_server": f"{ip} daddr {{address}} udp dport 53 return\n"
            f"    {ip} daddr {{address}} tcp dport 53 return",
            "out": f"{ip} daddr {{range}} return",
            "in": f"{ip} daddr {{range}} goto ours",
        }

    def _iptables_words(self, family: int) -> dict[str, str]:
        loopback = "127.0.0.1" if family == V4 else "::1"
        port = self._numbers.get("udp4" if family == V4 else "udp6", 0)
        name, first = self._name, "-p tcp -m tcp --syn"
        group = self._numbers.get("log", 0)
        return {
            "syn": f"-A {name}-ours {first} -j NFLOG --nflog-group {group} --nflog-threshold 1\n"
            f"-A {name}-ours {first} -j DROP",
            "udp": f"-A {name}-ours -p udp -j MARK --set-mark {self.routed}",
            "tproxy": f"-A PREROUTING -i lo -p udp -m mark --mark {self.routed} -j TPROXY "
            f"--on-port {port} --on-ip {loopback} --tproxy-mark {self.routed}",
            "name_server": f"-A {name} -d {{address}} -p udp -m udp --dport 53 -j RETURN\n"
            f"-A {name} -d {{address}} -p tcp -m tcp --dport 53 -j RETURN",
            "out": f"-A {name} -d {{range}} -j RETURN",
            "in": f"-A {name} -d {{range}} -g {name}-ours",
        }

    def _load(self, family: int, text: str) -> None:
        if self._nft:
            _run(["nft", "-f", "-"], text)
        else:
            program = "iptables-restore" if family == V4 else "ip6tables-restore"
            _run([program, "-w", "10", "--noflush"], text)

    def add(self, family: int, network: str) -> None:
        """One more range."""
        if not self._put.get(family):
            return
        ip = "ip" if family == V4 else "ip6"
        if self._nft:
            rule = self._nft_words(family)["in"].format(range=network)
            _run(["nft", f"add rule {ip} {self._name} going {rule}"])
        else:
            rule = self._iptables_words(family)["in"].format(range=network)
            _run(
                [f"{ip}tables" if ip == "ip" else "ip6tables", "-w", "-t", "mangle", *rule.split()]
            )

    def remove(self, family: int) -> None:
        """Everything of this family.  Twice is harmless, and so is never put."""
        kinds = self._put.pop(family, None)
        if kinds is None:
            return
        ip = "ip" if family == V4 else "ip6"
        with contextlib.suppress(OSError):
            if self._nft:
                _run(["nft", f"delete table {ip} {self._name}"])
            else:
                tproxy = self._iptables_words(family)["tproxy"].replace("-A ", "-D ", 1)
                gone = _IPTABLES_GONE.format(name=self._name, tproxy=tproxy if UDP in kinds else "")
                self._load(family, gone)
        if UDP in kinds:
            for line in (f"rule del fwmark {self.routed} lookup {self.routed}",
                         f"route flush table {self.routed}"):  # fmt: skip
                with contextlib.suppress(OSError):
                    self._ip(family, line)

    def assume(self, families: Iterable[int]) -> None:
        """Another process has put them: remove() whatever it may have."""
        self._put = {family: {SYN, UDP} for family in families}

    @staticmethod
    def _ip(family: int, *lines: str) -> None:
        for line in lines:
            _run(["ip", "-4" if family == V4 else "-6", *line.split()])


def marks(number: int) -> tuple[int, int]:
    """`passed` and `routed` of the session of that process: 22 bits at most (proc(5))."""
    return 0x74000001 | number << 1, 0x74000000 | number << 1


def numbers_of(made: dict[str, tuple[Any, int]]) -> dict[str, int]:
    """Ports and groups; a socket that has none counts as 1."""
    return {name: number or 1 for name, (_, number) in made.items()}
