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

CONNECT, RESOLVE = 1, 0xF0
DEADLINE_S = 20.0
Target = tuple[str, int]


def reply(code: int, host: str = "0.0.0.0", port: int = 0) -> bytes:
    family, atyp = (socket.AF_INET6, 4) if ":" in host else (socket.AF_INET, 1)
    return bytes([5, code, 0, atyp]) + socket.inet_pton(family, host) + struct.pack("!H", port)


@dataclass(kw_only=True)
class FakePod:
    """`network`: where a target really is on loopback, or the reply code that it gets.

    strict: one recv() is one message, as simple servers have it.  pieces: replies byte by byte.
    bound: the address in successful replies.  held: these targets get no reply before release().
    """

    network: dict[Target, Target | int] = field(default_factory=dict)
    names: dict[str, str | int] = field(default_factory=dict)
    username: str = ""
    password: str = ""
    strict: bool = False
    pieces: bool = False
    bound: str = "10.0.0.1"
    held: set[Target] = field(default_factory=set)
    release_on: Target | None = None

    def __post_init__(self) -> None:
        self.seen: list[tuple[int, str, int]] = []
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
            right = (user.decode(), given.decode()) == (self.username, self.password)
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
                found = self.names.get(host, 4)
                self._send(sock, reply(found) if isinstance(found, int) else reply(0, found))
            else:
                self._connect(sock, (host, port), bytes(rest))

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


class Service:
    """A server on loopback that runs `handle` for each connection."""

    def __init__(self, handle: Callable[[socket.socket], None], host: str = "127.0.0.1") -> None:
        self._door = socket.create_server((host, 0), backlog=512)
        self.address: Target = self._door.getsockname()[:2]
        self._handle = handle
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._door.accept()
            except OSError:
                return
            sock.settimeout(DEADLINE_S)
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            self._handle(sock)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for thread in self._threads:
            thread.join(DEADLINE_S)


def echo(sock: socket.socket) -> None:
    while data := sock.recv(65536):
        sock.sendall(data)


def speak_first(sock: socket.socket) -> None:
    """The server's first bytes come right behind the SOCKS reply, as with SSH or SMTP."""
    sock.sendall(b"220 hello\r\n")
    echo(sock)


def http(sock: socket.socket) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        more = sock.recv(4096)
        if not more:
            return
        head += more
    sock.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\npods\n")


def redis(sock: socket.socket) -> None:
    while sock.recv(4096):
        sock.sendall(b"+PONG\r\n")
