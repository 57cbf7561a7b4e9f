"""How fast is the SOCKS server on loopback, next to no proxy at all and to microsocks?

Called by: make bench.
Owns: the servers, clients and proxies of one process.
Never: tunes what it measures.
"""

import contextlib
import shutil
import socket
import statistics
import struct
import subprocess
import threading
import time
from collections.abc import Iterator

from figures import finish, floor, show
from telepresence.fastpath import Engine, SocksServer

ROUNDS = 5
BYTES = 500_000_000
CONNECTIONS = 300
CHUNK = bytes(256 * 1024)


def serve(handle: object, host: str = "127.0.0.1") -> int:
    door = socket.create_server((host, 0), backlog=512)

    def accept() -> None:
        while True:
            sock, _ = door.accept()
            threading.Thread(target=handle, args=(sock,), daemon=True).start()  # type: ignore[arg-type]

    threading.Thread(target=accept, daemon=True).start()
    return int(door.getsockname()[1])


def echo(sock: socket.socket) -> None:
    with sock:
        while data := sock.recv(65_536):
            sock.sendall(data)


def sink(sock: socket.socket) -> None:
    """BYTES and an answer: microsocks ends both directions at a half-close."""
    buffer, left = bytearray(len(CHUNK)), BYTES
    with sock:
        while left > 0 and (got := sock.recv_into(buffer)):
            left -= got
        sock.sendall(b"k")


def dial(proxy: int, port: int) -> socket.socket:
    """Straight there when proxy is 0."""
    sock = socket.create_connection(("127.0.0.1", proxy or port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if proxy:
        sock.sendall(b"\5\1\0")
        sock.recv(2)
        sock.sendall(b"\5\1\0\1\x7f\0\0\1" + struct.pack("!H", port))
        left = 10
        while left:
            left -= len(sock.recv(left))
    return sock


def bulk(proxy: int, port: int) -> float:
    with dial(proxy, port) as sock:
        began, left = time.perf_counter(), BYTES
        while left > 0:
            sock.sendall(CHUNK[: min(left, len(CHUNK))])
            left -= len(CHUNK)
        if sock.recv(1) != b"k":
            raise EOFError
        return BYTES / (time.perf_counter() - began) / 1e6


def trips(proxy: int, port: int) -> float:
    with dial(proxy, port) as sock:
        taken = []
        for _ in range(1000):
            began = time.perf_counter()
            sock.sendall(CHUNK[:64])
            sock.recv(64)
            taken.append((time.perf_counter() - began) * 1e6)
        return statistics.median(taken)


def connections(proxy: int, port: int) -> float:
    began = time.perf_counter()
    for _ in range(CONNECTIONS):
        with dial(proxy, port) as sock:
            sock.sendall(b"x")
            sock.recv(1)
    return CONNECTIONS / (time.perf_counter() - began)


@contextlib.contextmanager
def microsocks() -> Iterator[int]:
    program = shutil.which("microsocks")
    if program is None:
        raise SystemExit("bench/relay.py compares with microsocks: install Debian's package")
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = int(door.getsockname()[1])
    command = [program, "-i", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < deadline:
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    echo_port, sink_port = serve(echo), serve(sink)
    engine = Engine()
    ours = SocksServer(engine, socket.create_server(("127.0.0.1", 0), backlog=512)).port
    with microsocks() as other:
        proxies = {"direct": 0, "ours": ours, "microsocks": other}
        for question, port, unit in (
            (bulk, sink_port, "MB/s"),
            (trips, echo_port, "us"),
            (connections, echo_port, "1/s"),
        ):
            found: dict[str, list[float]] = {name: [] for name in proxies}
            for _ in range(ROUNDS):
                for name, proxy in proxies.items():
                    found[name].append(question(proxy, port))
            middle = {
                name: show(f"{question.__name__} {name}", values, unit)
                for name, values in found.items()
            }
            ratio = middle["ours"] / middle["microsocks"]
            if question is trips:  # a thread a client, blocked in recv(2), is hard to beat here
                floor("trips ours / microsocks", ratio, at_most=1.15)
            else:
                floor(f"{question.__name__} ours / microsocks", ratio, at_least=1.0)
    engine.close()
    finish()


if __name__ == "__main__":
    main()
