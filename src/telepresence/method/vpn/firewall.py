"""Start the process with privileges, tell it what to redirect, and notice when it is gone.

Called by: method/vpn.
Owns: that process and the socket to it; when the socket closes, the rules are undone.
Never: changes a rule itself; asks for a password where nobody can type one.
"""

import asyncio
import contextlib
import ipaddress
import logging
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from telepresence.errors import MethodError
from telepresence.method.vpn.rootsockets import take_over
from telepresence.privilege import how_to_root

log = logging.getLogger(__name__)

HELPER = Path(__file__).with_name("privileged.py")
START_TIMEOUT_S = 20.0  # a dozen runs of iptables(8), each waiting for its lock
LAST_WORDS_S = 2.0  # from the end of its output to the end of its complaints
PASSWORD_TIMEOUT_S = 300.0  # sudo's own passwd_timeout
CHOICE = "TELEPRESENCE_FIREWALL"  # nft or nat, instead of our choice
PF = "pf"
# It has neither TPROXY nor NFLOG.
WITHOUT_PF = "UDP, and for connects that fail as the pod's do (they are reset later)"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is to be redirected.  A port of 0: nothing of that family."""

    included: tuple[Network, ...]
    excluded: tuple[Network, ...]
    port4: int
    port6: int
    names: tuple[tuple[Address, int], ...]  # a name server, and our port for its questions
    bypass: tuple[int, ...]  # marks (ownsockets.py) that are let through to the name servers


def choose(environ: dict[str, str]) -> str:
    """sshuttle's method.  nft before nat: its table goes as a whole, and leaves nothing."""
    chosen = environ.get(CHOICE)
    if platform.system() == "Darwin":
        if chosen and chosen != PF:
            raise MethodError(f"{CHOICE}={chosen}: macOS has pf alone", hint="unset it")
        return PF
    if chosen:
        if chosen not in ("nft", "nat"):
            raise MethodError(f"{CHOICE}={chosen} is neither nft nor nat")
        return chosen
    path = f"{environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    for method, program in (("nft", "nft"), ("nat", "iptables")):
        if shutil.which(program, path=path):
            return method
    raise MethodError(
        "vpn-tcp needs nft or iptables, and neither is installed",
        hint="install nftables, or use -m inject-tcp",
    )


def _family(network: Network | Address) -> int:
    return int(socket.AF_INET if network.version == 4 else socket.AF_INET6)


def lines(rules: Rules) -> str:
    """sshuttle's protocol; the entries of NSLIST are ours (privileged.py)."""
    said = ["ROUTES"]
    for excluded, networks in ((0, rules.included), (1, rules.excluded)):
        for network in networks:
            said.append(
                f"{_family(network)},{network.prefixlen},{excluded},{network.network_address},0,0"
            )
    said.append("NSLIST")
    bypass = "+".join(map(str, rules.bypass))
    for address, port in rules.names:
        said.append(f"{_family(address)},{str(address).partition('%')[0]}#{port}#{bypass}")
    said.append(f"PORTS {rules.port6},{rules.port4},0,0")
    said.append("GO 0 - - 0x01 0")
    return "\n".join(said) + "\n"


def _argv(method: str) -> list[str]:
    spec = find_spec("sshuttle")
    if spec is None or spec.origin is None:
        raise MethodError("sshuttle is not installed beside telepresence", hint="pip install it")
    directory = Path(spec.origin).parent.parent
    argv = [sys.executable, "-I", str(HELPER), method, str(directory)]
    root = how_to_root()
    if not root:  # without a way, plan.py has refused already
        return argv
    may_ask = os.isatty(0) or os.isatty(2)
    return [*root, *([] if may_ask else ["-n"]), "--", *argv]


class Firewall:
    """async with Firewall(method) as firewall: await firewall.start(rules)

    Nothing is changed before start()."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.StreamReader | None = None
        self._said: list[str] = []
        self.sockets: dict[str, socket.socket] = {}  # rootsockets.py; whoever takes one owns it
        self.without: list[str] = []  # what the kernel cannot, after start()
        self._tasks: list[asyncio.Task[None]] = []
        # Ends with an error when the process is gone before it was told to go.
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> "Firewall":
        """MethodError: not root, and sudo would not."""
        argv = _argv(self._method)
        ours, theirs = socket.socketpair()
        path = os.environ.get("PATH", os.defpath)
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *argv, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.PIPE,
                env={**os.environ, "PATH": f"{path}:/usr/sbin:/sbin"},
            )  # fmt: skip
        self._tasks.append(asyncio.ensure_future(self._log()))
        try:
            self.sockets = await self._take_sockets(ours)
        finally:  # what closes this socket ends the process
            self._reader, self._writer = await asyncio.open_connection(sock=ours)
        try:
            await self._expect(b"READY ", PASSWORD_TIMEOUT_S)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def _take_sockets(self, channel: socket.socket) -> dict[str, socket.socket]:
        loop = asyncio.get_running_loop()
        channel.setblocking(False)
        taking = take_over(channel)
        try:
            async with asyncio.timeout(PASSWORD_TIMEOUT_S):
                while True:
                    readable = asyncio.Event()
                    loop.add_reader(channel, readable.set)
                    await readable.wait()
                    loop.remove_reader(channel)
                    if (taken := next(taking)) is not None:
                        return taken
        except (TimeoutError, ConnectionError):
            return {}  # what follows finds out why

    async def start(self, rules: Rules) -> None:
        """Put the rules in place.  MethodError with the helper's own words when it cannot."""
        assert self._writer is not None
        self._writer.write(lines(rules).encode("ascii"))
        await self._expect(b"STARTED", START_TIMEOUT_S)
        log.info("rules of method %s are in place", self._method)
        if self._method == PF:
            self.without.append(WITHOUT_PF)
        self._tasks.append(asyncio.ensure_future(self._watch()))

    def add(self, networks: Sequence[Network]) -> None:
        """More ranges."""
        assert self._writer is not None
        for network in networks:
            line = f"ROUTE {_family(network)},{network.prefixlen},{network.network_address}\n"
            self._writer.write(line.encode("ascii"))

    async def _expect(self, word: bytes, timeout_s: float) -> None:
        assert self._reader is not None
        try:
            async with asyncio.timeout(timeout_s):
                while line := await self._reader.readline():  # sudo wrappers may say things first
                    if line.startswith(word):
                        return
                    if line.startswith(b"WITHOUT "):
                        self.without.append(line.decode().strip().removeprefix("WITHOUT "))
                        log.warning("firewall: without %s", self.without[-1])
        except (TimeoutError, ConnectionError) as exc:
            raise self._error(f"no {word.decode().strip()} within {timeout_s:g} s") from exc
        await asyncio.wait(self._tasks[:1], timeout=LAST_WORDS_S)
        raise self._error("it ended")

    def _error(self, what: str) -> MethodError:
        words = " ".join(self._said) or what
        if "sudo:" in words:
            return MethodError(
                f"vpn-tcp needs root for its firewall rules, and sudo refuses: {words}",
                hint="run 'sudo -v' first, run in a terminal, or use -m inject-tcp",
            )
        return MethodError(
            f"the firewall rules (method {self._method}) could not be made: {words}",
            hint="the log has more; -m inject-tcp needs none"
            if self._method == PF
            else f"{CHOICE}=nat or nft chooses the other method; the log has more",
        )

    async def _log(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            text = line.decode(errors="replace").strip()
            log.info("firewall: %s", text)
            self._said = [*self._said[-4:], text]

    async def _watch(self) -> None:
        assert self._reader is not None
        with contextlib.suppress(ConnectionError):
            while await self._reader.readline():
                pass
        if not self.failed.done():
            self.failed.set_exception(
                MethodError("the process with the firewall rules is gone, and its rules with it")
            )
            self.failed.exception()  # whoever does not wait for it need not hear of it

    async def __aexit__(self, *_: object) -> None:
        """The rules are gone when this returns.  Twice is harmless."""
        assert self._process is not None
        assert self._writer is not None
        self.failed.cancel()
        for sock in self.sockets.values():
            sock.close()
        self._writer.close()
        await self._process.wait()
        # sudo may have been killed: what it ran has the other end of the log until it is done.
        await asyncio.wait(self._tasks[:1], timeout=START_TIMEOUT_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
