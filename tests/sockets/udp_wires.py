"""UDP on loopback: servers, and clients of a SOCKS server's UDP associations (RFC 1928 section 7).

Called by: the UDP tests of this folder.
Owns: its sockets and threads, until each is closed.
Never: a mock; waits longer than the deadline for a datagram.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable

from wires import DEADLINE_S, UDP, address, open_socks, read_reply, request

BUFFER_BYTES = 2**20  # of the sockets of a test, as far as the kernel gives it
BIGGEST = 65_507  # payload of an IPv4 datagram: 65,535 less the IP and UDP headers


def udp_socket(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    sock.settimeout(DEADLINE_S)
    sock.bind((host, port))
    return sock


def message(host: str, port: int, payload: bytes) -> bytes:
    return b"\0\0\0" + address(host, port) + payload


def take_message(data: bytes) -> tuple[str, int, bytes]:
    """Source host, source port, payload of what an association delivers."""
    assert data[:3] == b"\0\0\0"
    family, size = {1: (socket.AF_INET, 4), 4: (socket.AF_INET6, 16)}[data[3]]
    (port,) = struct.unpack_from("!H", data, 4 + size)
    return socket.inet_ntop(family, data[4 : 4 + size]), port, data[6 + size :]


class UdpServer:
    """Gives each datagram, its sender and itself to `handle`, in one thread."""

    def __init__(
        self,
        handle: Callable[["UdpServer", bytes, tuple[str, int]], None],
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.sock = udp_socket(host, port)
        self.host, self.port = self.sock.getsockname()[:2]
        self.seen: list[bytes] = []
        self._handle = handle
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                data, sender = self.sock.recvfrom(65_536)
            except OSError:
                return
            if sender == self.sock.getsockname():
                return
            self.seen.append(data)
            with contextlib.suppress(OSError):
                self._handle(self, data, sender)

    def close(self) -> None:
        self.sock.sendto(b"", self.sock.getsockname())
        self._thread.join(DEADLINE_S)
        self.sock.close()


def echo_back(server: UdpServer, data: bytes, sender: tuple[str, int]) -> None:
    server.sock.sendto(data, sender)


class Association:
    """A client's association: its TCP connection, and a UDP socket to talk through it."""

    def __init__(self, port: int, *, host: str = "127.0.0.1", named: bool = False) -> None:
        self.udp = udp_socket(host)
        mine = self.udp.getsockname()[1] if named else 0
        any_host = "::" if ":" in host else "0.0.0.0"
        self.tcp = open_socks(port, request(UDP, any_host, mine), host)
        code, bound_host, bound_port = read_reply(self.tcp)
        assert code == 0
        self.relay = (bound_host, bound_port)

    def send(self, host: str, port: int, payload: bytes) -> None:
        self.udp.sendto(message(host, port, payload), self.relay)

    def receive(self) -> tuple[str, int, bytes]:
        data, sender = self.udp.recvfrom(65_536)
        assert sender[:2] == self.relay
        return take_message(data)

    def ask(self, host: str, port: int, payload: bytes) -> tuple[str, int, bytes]:
        self.send(host, port, payload)
        return self.receive()

    def close(self) -> None:
        self.udp.close()
        self.tcp.close()
