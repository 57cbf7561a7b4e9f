"""A SOCKS5 server that plays the pod: its network and its names are tables.

Called by: the tests of this folder.
Owns: its sockets and threads, until close().
Never: connects to anything but loopback.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from fake_relay import DatagramRelay

CONNECT, UDP_ASSOCIATE, RESOLVE, RESOLVE_PTR, UDP_CONNECT = 1, 3, 0xF0, 0xF1, 0xF4
WANT_IPV4, WANT_IPV6, WANT_ALL = 4, 6, 46
NAMESERVER = ("0.0.0.0", 53)
DEADLINE_S = 20.0
Target = tuple[str, int]


def reply(code: int, host: str = "0.0.0.0", port: int = 0) -> bytes:
    family, atyp = (socket.AF_INET6, 4) if ":" in host else (socket.AF_INET, 1)
    return bytes([5, code, 0, atyp]) + socket.inet_pton(family, host) + struct.pack("!H", port)


def reply_name(name: str) -> bytes:
    return bytes([5, 0, 0, 3, len(name)]) + name.encode() + b"\0\0"


@dataclass(kw_only=True)
class FakePod:
    """`network`: where a target really is on loopback, or the reply code that it gets.

    `datagrams`: the same for UDP; others are dropped.  strict: one recv() is one message, as simple
    servers have it.  pieces: replies byte by byte.  bound: the address in successful replies.
    held: these targets get no reply before release().  username *: any will do.
    no_udp: as Tor, no associations.  no_extensions: UDP as RFC 1928 has it and no other.
    """

    network: dict[Target, Target | int] = field(default_factory=dict)
    names: dict[str, str | list[str] | int] = field(default_factory=dict)
    datagrams: dict[Target, Target] = field(default_factory=dict)
    username: str = ""
    password: str = ""
    strict: bool = False
    pieces: bool = False
    bound: str = "10.0.0.1"
    held: set[Target] = field(default_factory=set)
    release_on: Target | None = None
    no_udp: bool = False
    no_extensions: bool = False

    def __post_init__(self) -> None:
        self.seen: list[tuple[int, str, int]] = []
        self.logins: list[tuple[str, str]] = []
        self._released = threading.Event()
        self._door = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._door.getsockname()[1]
        self._socks: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def settings(self, *, pipeline: bool | None = None) -> str:
        lines = [f"TorPort {self.port}"]
        if self.username:
            lines += [f"SOCKS5Username {self.username}", f"SOCKS5Password {self.password}"]
        pipeline = not self.strict if pipeline is None else pipeline
        return "\n".join([*lines, f"TelepresencePipeline {int(pipeline)}", ""])

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._door.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start(self._serve, sock)

    def _start(
        self, run: Callable[..., None], sock: socket.socket, *more: socket.socket
    ) -> threading.Thread:
        self._socks += [sock, *more]
        thread = threading.Thread(target=run, args=(sock, *more))
        self._threads.append(thread)
        thread.start()
        return thread

    def _message(self, sock: socket.socket, size: int, rest: bytearray) -> bytes:
        """`size` bytes; strict: exactly what one recv() brings, which must begin with them."""
        while len(rest) < size:
            more = sock.recv(4096)
            if not more:
                raise EOFError
            if self.strict and rest:
                raise EOFError
            rest += more
        taken = bytes(rest[:size])
        del rest[:size]
        return taken

    def _send(self, sock: socket.socket, data: bytes) -> None:
        for piece in [data[i : i + 1] for i in range(len(data))] if self.pieces else [data]:
            sock.sendall(piece)

    def _greet(self, sock: socket.socket, rest: bytearray) -> None:
        _, n = self._message(sock, 2, rest)
        methods = self._message(sock, n, rest)
        if self.strict and rest:
            raise EOFError
        wanted = 2 if self.username else 0
        if wanted not in methods:
            self._send(sock, b"\5\xff")
            raise EOFError
        self._send(sock, bytes([5, wanted]))
        if self.username:
            _, n = self._message(sock, 2, rest)
            user = self._message(sock, n, rest)
            given = self._message(sock, self._message(sock, 1, rest)[0], rest)
            self.logins.append((user.decode(), given.decode()))
            right = self.username == "*" or self.logins[-1] == (self.username, self.password)
            self._send(sock, bytes([1, 0 if right else 1]))
            if not right or (self.strict and rest):
                raise EOFError

    def _serve(self, sock: socket.socket) -> None:
        rest = bytearray()
        with sock, contextlib.suppress(OSError, EOFError):
            self._greet(sock, rest)
            _, cmd, _, atyp = self._message(sock, 4, rest)
            size = {1: 4, 4: 16}.get(atyp) or self._message(sock, 1, rest)[0]
            raw = self._message(sock, size, rest)
            family = {1: socket.AF_INET, 4: socket.AF_INET6}.get(atyp)
            host = socket.inet_ntop(family, raw) if family else raw.decode()
            (port,) = struct.unpack("!H", self._message(sock, 2, rest))
            self.seen.append((cmd, host, port))
            if cmd == RESOLVE:
                self._send(sock, self._resolve(host, port))
            elif cmd == RESOLVE_PTR:
                names = [name for name, found in self.names.items() if found == host]
                self._send(sock, reply_name(names[0]) if names else reply(4))
            elif cmd == UDP_ASSOCIATE:
                self._relay(sock, None)
            elif cmd == UDP_CONNECT:
                self._relay(sock, (host, port))
            else:
                self._connect(sock, (host, port), bytes(rest))

    def _resolve(self, host: str, want: int) -> bytes:
        found = self.names.get(host, 4)
        if isinstance(found, int):
            return reply(found)
        addresses = [found] if isinstance(found, str) else found
        if want in (WANT_IPV4, WANT_IPV6):
            wanted = [at for at in addresses if (":" in at) == (want == WANT_IPV6)]
            addresses = wanted or addresses[:1]
        return b"".join(reply(0, at) for at in addresses[: None if want else 1])

    def _relay(self, sock: socket.socket, only: Target | None) -> None:
        """RFC 1928 section 7; the far ends are real, each behind a socket of its own.

        only: without headers, for this target, which is our own server's extension."""
        if self.no_udp or (only is not None and self.no_extensions):
            self._send(sock, reply(7))
            return
        with DatagramRelay(self.datagrams, only) as relay:
            self._send(sock, reply(0, *relay.address))
            while sock.recv(4096):
                pass

    def _connect(self, sock: socket.socket, target: Target, early: bytes) -> None:
        if target == self.release_on:
            self._released.set()
        elif target in self.held:
            self._released.wait(DEADLINE_S)
        found = self.network.get(target, 3)
        if isinstance(found, int):
            self._send(sock, reply(found))
            return
        with socket.create_connection(found, DEADLINE_S) as far:
            far.settimeout(None)
            far.sendall(early)
            self._send(sock, reply(0, self.bound, 4321))
            back = self._start(self._copy, far, sock)
            self._copy(sock, far)
            back.join(DEADLINE_S)

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def release(self) -> None:
        """Those that are held get their replies."""
        self._released.set()

    def close(self) -> None:
        self.release()
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._threads[0].join(DEADLINE_S)
        for sock in self._socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE_S)
