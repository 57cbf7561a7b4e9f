"""How many datagrams pass, and how long is one under way, next to UDP without us?

Called by: make bench; as `udp.py echo` and `udp.py sink` by itself, for the far end.
Owns: the engines, sockets and processes of one run, all on loopback.
Never: tunes what it measures.
"""

import contextlib
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

from figures import finish, floor, show
from telepresence.fastpath import Engine, SocksServer, Tunnel

ROUNDS = 7
TRIPS = 1000
UNDER_WAY = 32  # datagrams, of which each answer sends the next
FLOOD_S = 0.5
PAYLOAD = bytes(64)
FULL = bytes(1200)  # what QUIC sends at least (RFC 9000 section 14)
PATIENCE_S = 5.0


def udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(PATIENCE_S)
    return sock


def far_end(role: str) -> None:
    """`echo` sends back; `sink` counts, and answers an empty datagram with the count so far."""
    sock = udp()
    sock.settimeout(None)
    print(sock.getsockname()[1], flush=True)
    buffer, count = bytearray(65_536), 0
    while True:
        size, sender = sock.recvfrom_into(buffer)
        if role == "echo":
            sock.sendto(memoryview(buffer)[:size], sender)
        elif size:
            count += 1
        else:
            sock.sendto(struct.pack("!Q", count), sender)


@contextlib.contextmanager
def server(role: str) -> Iterator[int]:
    process = subprocess.Popen([sys.executable, __file__, role], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


class Path:
    """A connected socket, and what stands before each payload."""

    def __init__(self, port: int, socks: SocksServer | None) -> None:
        self.sock, self.head, self.tcp = udp(), b"", None
        if socks is None:
            self.sock.connect(("127.0.0.1", port))
            return
        self.tcp = socket.create_connection(("127.0.0.1", socks.port))
        self.tcp.sendall(b"\5\1\0\5\3\0\1" + bytes(6))
        reply = b""
        while len(reply) < 12:
            reply += self.tcp.recv(12 - len(reply))
        self.sock.connect(("127.0.0.1", int.from_bytes(reply[-2:], "big")))
        self.head = b"\0\0\0\1\x7f\0\0\1" + struct.pack("!H", port)

    def trips_us(self) -> list[float]:
        taken = []
        for _ in range(TRIPS):
            began = time.perf_counter()
            self.sock.send(self.head + PAYLOAD)
            self.sock.recv(2048)
            taken.append((time.perf_counter() - began) * 1e6)
        return taken

    def exchanges_s(self) -> float:
        """Of echoes, with UNDER_WAY at once: nothing is lost, so it is what the path can do."""
        message, count = self.head + FULL, TRIPS * 10
        began = time.perf_counter()
        for _ in range(UNDER_WAY):
            self.sock.send(message)
        for _ in range(count):
            self.sock.recv(2048)
            self.sock.send(message)
        for _ in range(UNDER_WAY):
            self.sock.recv(2048)
        return (count + UNDER_WAY) / (time.perf_counter() - began)

    def _arrived(self) -> int:
        self.sock.send(self.head)
        return int(struct.unpack("!Q", self.sock.recv(2048)[len(self.head) :])[0])

    def flood_s(self) -> float:
        """What arrives a second of all that one sender can send."""
        message, before = self.head + FULL, self._arrived()
        began = time.perf_counter()
        while time.perf_counter() < began + FLOOD_S:
            for _ in range(20):
                self.sock.send(message)
        taken = time.perf_counter() - began
        time.sleep(0.2)  # for what is under way, so that the question is not dropped
        return (self._arrived() - before) / taken

    def close(self) -> None:
        self.sock.close()
        if self.tcp is not None:
            self.tcp.close()


@contextlib.contextmanager
def engines() -> Iterator[dict[str, SocksServer | None]]:
    """The ways: none of ours, a SOCKS server here, a tunnel over loopback between two engines."""
    laptop, agent = Engine(), Engine()
    near, far = Tunnel(laptop, role="laptop"), Tunnel(agent, role="agent")
    with socket.create_server(("127.0.0.1", 0)) as door:
        one = socket.create_connection(door.getsockname())
        other, _ = door.accept()
    for tunnel, end in ((near, one), (far, other)):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tunnel.attach(end.detach(), 0)
    try:
        yield {
            "direct": None,
            "SOCKS": SocksServer(agent, socket.create_server(("127.0.0.1", 0))),
            "tunnel": SocksServer(laptop, socket.create_server(("127.0.0.1", 0)), tunnel=near),
        }
    finally:
        laptop.close()
        agent.close()


def main() -> None:
    found: dict[tuple[str, str], list[float]] = {}
    trips: dict[str, list[float]] = {}
    with contextlib.ExitStack() as stack:
        echo, sink = (stack.enter_context(server(role)) for role in ("echo", "sink"))
        ways = stack.enter_context(engines())
        for _ in range(ROUNDS):
            for name, socks in ways.items():
                with contextlib.closing(Path(echo, socks)) as path:
                    taken = path.trips_us()
                    trips.setdefault(name, []).extend(taken)
                    found.setdefault(("trip", name), []).append(statistics.median(taken))
                    found.setdefault(("exchanges", name), []).append(path.exchanges_s())
                with contextlib.closing(Path(sink, socks)) as path:
                    found.setdefault(("flood", name), []).append(path.flood_s())
    for name in ways:
        show(f"64 bytes there and back, {name}", trips[name], "us")
    for name in ways:
        rates = [rate / 1000 for rate in found["exchanges", name]]
        show(f"1200 bytes, {UNDER_WAY} under way, {name}", rates, "1000/s")
        show(f"1200 bytes, a flood, {name}", [r / 1000 for r in found["flood", name]], "1000/s")
    for question, at_least, at_most in (("trip", 0, 6), ("exchanges", 0.25, 0), ("flood", 0.4, 0)):
        pairs = zip(found[question, "tunnel"], found[question, "direct"], strict=True)
        ratio = statistics.median(ours / bare for ours, bare in pairs)
        floor(f"{question}, tunnel / direct", ratio, at_least=at_least, at_most=at_most)
    finish()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        far_end(sys.argv[1])
    main()
