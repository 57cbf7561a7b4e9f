"""Real sockets on loopback around real engines.

Called by: every test of this folder, and its fixtures.
Owns: servers, wires and engines, until each is closed.
Never: a mock.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from telepresence.fastpath import Engine, SocksServer, Tunnel

DEADLINE_S = 20.0
CONNECT, BIND, UDP, RESOLVE, RESOLVE_PTR, LISTEN, SERVICE, UDP_CONNECT = 1, 2, 3, *range(0xF0, 0xF5)


def listener() -> socket.socket:
    sock = socket.create_server(("127.0.0.1", 0), backlog=512)
    sock.settimeout(DEADLINE_S)
    return sock


def connected_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of one TCP connection."""
    with listener() as door:
        near = socket.create_connection(door.getsockname(), DEADLINE_S)
        far, _ = door.accept()
    for sock in (near, far):
        sock.settimeout(DEADLINE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


def read_exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError(f"end of file after {data!r}")
        data += more
    return data


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def address(host: str, port: int) -> bytes:
    for family, atyp in ((socket.AF_INET, 1), (socket.AF_INET6, 4)):
        with contextlib.suppress(OSError):
            return bytes([atyp]) + socket.inet_pton(family, host) + struct.pack("!H", port)
    return b"\3" + bytes([len(host)]) + host.encode() + struct.pack("!H", port)


def request(cmd: int, host: str, port: int) -> bytes:
    return bytes([5, cmd, 0]) + address(host, port)


def read_reply(sock: socket.socket) -> tuple[int, str, int]:
    """Code, host, port of a SOCKS5 reply."""
    version, code, _, atyp = read_exactly(sock, 4)
    assert version == 5
    size = {1: 4, 4: 16}.get(atyp) or read_exactly(sock, 1)[0]
    raw = read_exactly(sock, size)
    family = {1: socket.AF_INET, 4: socket.AF_INET6}.get(atyp)
    host = socket.inet_ntop(family, raw) if family else raw.decode()
    return code, host, struct.unpack("!H", read_exactly(sock, 2))[0]


class Server:
    """A TCP server that gives each connection to `handle` in a thread of its own."""

    def __init__(
        self, handle: Callable[[socket.socket], None], host: str = "127.0.0.1", port: int = 0
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._door = socket.create_server((host, port), family=family, backlog=512)
        self.host = host
        self.port = self._door.getsockname()[1]
        self._handle = handle
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        self._accepter = threading.Thread(target=self._accept)
        self._accepter.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._door.accept()
            except OSError:
                return
            sock.settimeout(DEADLINE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socks.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError, EOFError):
            self._handle(sock)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._accepter.join(DEADLINE_S)
        for sock in self._socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE_S)


def echo(sock: socket.socket) -> None:
    while data := sock.recv(65536):
        sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


@dataclass
class Ends:
    """A laptop and an agent, each with its own engine, joined by one tunnel."""

    laptop: Engine = field(default_factory=Engine)
    agent: Engine = field(default_factory=Engine)

    def __post_init__(self) -> None:
        self.laptop_tunnel = Tunnel(self.laptop, role="laptop")
        self.agent_tunnel = Tunnel(self.agent, role="agent")
        self.socks = SocksServer(self.laptop, listener(), tunnel=self.laptop_tunnel)

    def attach(self, near: socket.socket, far: socket.socket) -> None:
        """Join both ends over these two sockets, which may be ends of different connections."""
        laptop_received, agent_received = self.laptop_tunnel.detach(), self.agent_tunnel.detach()
        self.laptop_tunnel.attach(near.detach(), agent_received)
        self.agent_tunnel.attach(far.detach(), laptop_received)

    def open(self, host: str, port: int, *, cmd: int = CONNECT) -> socket.socket:
        """A connection to the SOCKS server with its request sent and nothing read after it."""
        return open_socks(self.socks.port, request(cmd, host, port))

    def connect(self, host: str, port: int) -> socket.socket:
        sock = self.open(host, port)
        code, _, _ = read_reply(sock)
        assert code == 0
        return sock

    def close(self) -> None:
        self.laptop.close()
        self.agent.close()


def open_socks(port: int, message: bytes, host: str = "127.0.0.1") -> socket.socket:
    sock = socket.create_connection((host, port), DEADLINE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(b"\5\1\0" + message)
    assert read_exactly(sock, 2) == b"\5\0"
    return sock
