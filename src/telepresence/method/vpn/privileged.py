"""The one process with privileges: sshuttle's firewall helper, with rules of ours.

    sudo python -I privileged.py METHOD DIRECTORY-OF-SSHUTTLE

Called by: firewall.py, as a program; of ours it imports two neighbours, which import nothing.
Owns: the firewall rules.  It is two processes: the outer one hands lines on to the inner one, which
is sshuttle's.  Whichever of the three dies, these two or the command, another undoes the rules.
Never: outlives its standard input.

sshuttle's protocol is followed as it is, with a few additions.  The first word of all is SOCKETS,
with those that only root can make (rootsockets.py).  An entry of NSLIST may be
`family,address#port#bypass`: what goes to port 53 of that address, UDP and TCP, comes to our port,
unless it carries one of the marks of `bypass` (`43+47`; ownsockets.py).  And after STARTED, a line
`ROUTE family,width,address` adds a range.  Before STARTED comes a line `WITHOUT what: why` for what
this machine cannot do.  With pf the outer process also says where connections were meant to go
(pfrules.py), which the kernel tells root alone.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True  # root's files in a user's directory
sys.path.append(str(Path(__file__).parents[3]))

from telepresence.method.vpn import pfrules, rootsockets  # noqa: E402 # the path says where from
from telepresence.method.vpn.packetrules import PacketRules, marks, numbers_of  # noqa: E402

V4 = 2  # AF_INET everywhere; sshuttle writes families as numbers
Rule = tuple[str, ...]


class NftRules:
    """The words of rules as nft(8) has them."""

    @staticmethod
    def put(family: int, port: int, rule: Rule, how: str = "insert") -> None:
        from sshuttle.linux import nft

        table = f"sshuttle-ipv{4 if family == V4 else 6}-{port}"
        ip = "ip" if family == V4 else "ip6"
        nft(family, table, f"{how} rule", table, *(ip if word == "IP" else word for word in rule))

    @staticmethod
    def forwarded() -> Rule:
        return ("fib", "saddr", "type", "!=", "local", "return")

    @staticmethod
    def bypass(address: str, protocol: str, dscp: str) -> Rule:
        return (*f"IP daddr {address} {protocol} dport 53 IP dscp {dscp} return".split(),)

    @staticmethod
    def names(address: str, protocol: str, port: str) -> Rule:
        return (*f"IP daddr {address} {protocol} dport 53 redirect to :{port}".split(),)

    @staticmethod
    def route(network: str, port: int) -> Rule:
        return (*f"IP daddr {network} meta l4proto tcp redirect to :{port}".split(),)


class NatRules:
    """The words of rules as iptables(8) has them."""

    @staticmethod
    def put(family: int, port: int, rule: Rule, how: str = "insert") -> None:
        from sshuttle.linux import ipt

        ipt(family, "nat", "-I" if how == "insert" else "-A", f"sshuttle-{port}", *rule)

    @staticmethod
    def forwarded() -> Rule:
        return (*["-m", "addrtype", "!", "--src-type", "LOCAL", "-j", "RETURN"],)

    @staticmethod
    def bypass(address: str, protocol: str, dscp: str) -> Rule:
        words = f"--dest {address} -p {protocol} --dport 53 -m dscp --dscp {dscp} -j RETURN"
        return (*words.split(),)

    @staticmethod
    def names(address: str, protocol: str, port: str) -> Rule:
        words = f"--dest {address} -p {protocol} --dport 53 -j REDIRECT --to-ports {port}"
        return (*words.split(),)

    @staticmethod
    def route(network: str, port: int) -> Rule:
        return (*f"--dest {network} -p tcp -j REDIRECT --to-ports {port}".split(),)


def first_rules(words: Any, family: int, nslist: list[tuple[int, str]]) -> list[Rule]:
    """What stands before sshuttle's rules, in this order."""
    # What this machine only forwards (containers, virtual machines) is not ours: our listeners are
    # on loopback, and a local cluster's own traffic must not come to us.
    rules: list[Rule] = [words.forwarded()]
    for family_of_entry, entry in nslist:
        if family_of_entry != family:
            continue
        address, port, bypass = entry.split("#")
        for protocol in ("udp", "tcp"):
            rules += [words.bypass(address, protocol, dscp) for dscp in bypass.split("+") if dscp]
            rules.append(words.names(address, protocol, port))
    return rules


def forgetting(platform: str) -> list[list[str]]:
    """Commands that have the machine's resolver forget names that did not exist a moment ago.
    systemd-resolved is sshuttle's own care; mDNSResponder's is dscacheutil(1), and a SIGHUP."""
    if platform != "darwin":
        return []
    return [["dscacheutil", "-flushcache"], ["killall", "-HUP", "mDNSResponder"]]


def forget() -> None:
    for words in forgetting(sys.platform):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(words, capture_output=True, timeout=5, check=False)


def with_own_rules(base: Any, words: Any, packets: PacketRules) -> Any:
    """sshuttle's method with ours in the same chain: they go when it goes."""

    class Method(base):  # type: ignore[misc] # which of two is known when it runs
        ports: dict[int, int] = {}  # noqa: RUF012 # one method a process

        def setup_firewall(
            self, port: int, dnsport: int, nslist: Any, family: int, subnets: Any, *more: Any
        ) -> None:
            super().setup_firewall(port, dnsport, [], family, subnets, *more)
            self.ports[family] = port
            for rule in reversed(first_rules(words, family, nslist)):
                words.put(family, port, rule)
            servers = [entry.partition("#")[0] for of, entry in nslist if of == family]
            packets.put(family, subnets, servers)
            forget()

        def restore_firewall(self, port: int, family: int, *more: Any) -> None:
            packets.remove(family)
            super().restore_firewall(port, family, *more)
            forget()

        def firewall_command(self, line: str) -> bool:
            if not line.startswith("ROUTE "):
                return False
            family, width, address = line.removeprefix("ROUTE ").split(",")
            port = self.ports[int(family)]
            words.put(int(family), port, words.route(f"{address}/{width}", port), "add")
            packets.add(int(family), f"{address}/{width}")
            return True

    return Method


def run_inner(lines: int, method_name: str, packets: PacketRules) -> int:
    """sshuttle's helper, reading what the outer process hands on."""
    from sshuttle import firewall, helpers

    os.setsid()  # sudo that dies takes the whole process group along (sudo(8), use_pty)
    os.dup2(lines, 0)
    os.close(lines)
    plain = firewall.get_method

    def get_method(name: str) -> Any:
        if name == "pf":
            return pfrules.with_own_rules(type(plain(name)), pf_module(), forget)(name)
        words = NftRules if name == "nft" else NatRules
        return with_own_rules(type(plain(name)), words, packets)(name)

    # House: sshuttle finds a method as a module of its own package; there is no other way in.
    firewall.get_method = get_method
    try:
        firewall.main(method_name, False)
    except (helpers.Fatal, OSError, ValueError, LookupError, AssertionError) as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)  # noqa: T201 # the caller's log
        return 99  # sshuttle has undone its rules by now
    return 0


def pf_module() -> Any:
    from sshuttle.methods import pf

    return pf


def undo(method_name: str, said: bytes, tokens: bytes, packets: PacketRules) -> None:
    """The inner process was killed: take its rules away from here."""
    from sshuttle import firewall

    ports = [line.split()[1] for line in said.splitlines() if line.startswith(b"PORTS ")]
    if not ports:
        return
    six, four, *_ = map(int, ports[0].split(b","))
    method = firewall.get_method(method_name)
    if method_name == "pf":
        pfrules.remember(pf_module(), said, tokens)
    else:
        packets.assume((socket.AF_INET6, V4))
    for family, port in ((int(socket.AF_INET6), six), (V4, four)):
        if port:
            packets.remove(family)
            try:
                method.restore_firewall(port, family, False, None, None)
            except Exception as exc:  # noqa: BLE001 # the other family has to go as well
                print(f"{type(exc).__name__}: {exc}", file=sys.stderr)  # noqa: T201
    forget()


def hand_on(to: int, alive: int, lookups: list[pfrules.Lookup]) -> tuple[bytes, bytes]:
    """Everything from the command to the inner process, until either ends; returns it, and what
    that one said.  Meanwhile lookups are answered."""
    said, told = b"", b""
    while True:
        watched: list[Any] = [0, alive, *lookups]
        ready, _, _ = select.select(watched, [], [])
        lookups = [each for each in lookups if each not in ready or each.answer()]
        if alive in ready:
            if not (word := os.read(alive, 4096)):
                return said, told
            told += word
        if 0 in ready:
            if not (data := os.read(0, 65_536)):
                return said, told
            said += data
            try:
                os.write(to, data)
            except BrokenPipeError:
                return said, told


def hand_sockets(made: dict[str, tuple[socket.socket, int]]) -> dict[str, int]:
    """Give the command what it needs; ports and groups, none where no socket can be handed over."""
    try:
        with socket.socket(fileno=os.dup(1)) as channel:
            rootsockets.hand_over(channel, made)
    except OSError:  # sudo stands between with a pipe (sudoers(5), log_input)
        with contextlib.suppress(BrokenPipeError):
            os.write(1, rootsockets.WORD + b"\n")
        return {}
    return numbers_of(made)


def main() -> int:
    method_name, directory = sys.argv[1:3]
    sys.path.append(directory)
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)  # the end of its input is what ends it
    lines, to = os.pipe()
    alive, held = os.pipe()  # `held` is the inner process's alone: its death is an end of file
    lookups: list[pfrules.Lookup] = []
    if method_name == "pf":
        pfrules.adapt(pf_module(), held)
        if why := pfrules.unfit(pf_module()):
            print(why, file=sys.stderr)  # noqa: T201
            return 1
        made, ours = rootsockets.open_pairs()
        lookups = [pfrules.Lookup(sock, pf_module()) for sock in ours]
    else:
        made = rootsockets.open_all(os.getpid(), marks(os.getpid())[0])
    packets = PacketRules(method_name, os.getpid(), hand_sockets(made))
    inner = os.fork()
    if inner == 0:
        os.close(to)
        os.close(alive)
        return run_inner(lines, method_name, packets)
    os.close(lines)
    os.close(held)
    said, told = hand_on(to, alive, lookups)
    os.close(to)
    _, status = os.waitpid(inner, 0)
    if os.WIFSIGNALED(status):
        undo(method_name, said, told, packets)
        return 1
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
