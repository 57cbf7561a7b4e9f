"""What does the shim cost beside torsocks and beside none: connects, round trips, process starts?

Called by: make bench.
Owns: the servers and programs of one process.
Never: leaves loopback and an address of this machine.
"""

import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import uvloop

from engines import PROGRAM, own_address
from figures import finish, floor, show
from relay import echo, serve
from telepresence.fastpath import Engine, SocksServer
from telepresence.method.inject import SHIM, write_settings

ROUNDS = 9
TIMES = {"connect": 300, "parallel": 5, "echo": 4000, "start": 60}
SLOW_S = 0.020  # one round trip to the pod of a server that is far away
GREETING, REQUEST = 3, 10  # bytes: no authentication, an IPv4 address


class Late(asyncio.Protocol):
    """A SOCKS server whose answer takes one round trip; there is nobody behind it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._left = GREETING + REQUEST

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left == 0:
            answer = b"\5\0" + b"\5\0\0\1" + bytes(6)
            asyncio.get_running_loop().call_later(SLOW_S, self._transport.write, answer)


@contextlib.contextmanager
def slow_server() -> Iterator[int]:
    """On uvloop, so that what it takes itself is small beside its round trip."""
    loop = uvloop.new_event_loop()
    making = loop.create_server(Late, "127.0.0.1", 0, backlog=512)
    server = loop.run_until_complete(making)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()


def torsocks_library() -> Path:
    found = sorted(Path("/usr/lib").glob("*/torsocks/libtorsocks.so"))
    if not found:
        raise SystemExit("bench/shim.py: torsocks is not installed: make setup")
    return found[0]


def ask(program: Path, env: dict[str, str], what: str, host: str, port: int) -> list[float]:
    words = [str(program), what, host, str(port), str(TIMES[what])]
    plain = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    done = subprocess.run(words, env=plain | env, check=True, stdout=subprocess.PIPE, text=True)
    return [float(line) for line in done.stdout.split()]


def environs(folder: Path, port: int, slow_port: int) -> dict[str, dict[str, str]]:
    """Per way: what a program is started with."""
    ours, slow, theirs = (folder / name for name in ("ours.conf", "slow.conf", "torsocks.conf"))
    write_settings(ours, port=port, username="bench", password="bench")
    slow.write_text(f"TorPort {slow_port}\nTelepresencePipeline 1\n")
    lines = ("TorAddress 127.0.0.1", f"TorPort {port}", "AllowOutboundLocalhost 1")
    theirs.write_text("\n".join([*lines, "SOCKS5Username bench", "SOCKS5Password bench", ""]))
    return {
        "bare": {},
        "shim": {"LD_PRELOAD": str(SHIM), "TORSOCKS_CONF_FILE": str(ours)},
        "slow": {"LD_PRELOAD": str(SHIM), "TORSOCKS_CONF_FILE": str(slow)},
        "torsocks": {"LD_PRELOAD": str(torsocks_library()), "TORSOCKS_CONF_FILE": str(theirs)},
    }


def measure(folder: Path) -> dict[tuple[str, str], list[list[float]]]:
    program = folder / "engines"
    subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", "-o", program, PROGRAM], check=True)
    near = ("127.0.0.1", serve(echo))
    far = (own_address(), serve(echo, own_address()))
    asked = [("connect", way, far) for way in ("shim", "torsocks")]
    asked += [("parallel", "slow", ("198.18.0.1", 80))]
    asked += [
        (what, way, near) for what in ("echo", "start") for way in ("bare", "shim", "torsocks")
    ]
    taken: dict[tuple[str, str], list[list[float]]] = {}
    with contextlib.closing(Engine()) as engine, slow_server() as slow_port:
        door = socket.create_server(("127.0.0.1", 0), backlog=512)
        server = SocksServer(engine, door, username="bench", password="bench")
        ways = environs(folder, server.port, slow_port)
        for _ in range(ROUNDS):
            for what, way, place in asked:
                values = ask(program, ways[way], what, *place)
                taken.setdefault((what, way), []).append(values)
    return taken


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        taken = measure(Path(name))
    for (what, way), rounds in taken.items():
        show(f"{what}, {way}", [value for values in rounds for value in values], "us")
    medians = {key: [statistics.median(values) for values in taken[key]] for key in taken}

    def ratio(what: str, way: str, peer: str) -> float:
        pairs = zip(medians[what, way], medians[what, peer], strict=True)
        return statistics.median(a / b for a, b in pairs)

    floor("connect, shim / torsocks", ratio("connect", "shim", "torsocks"), at_most=0.7)
    trips = statistics.median(medians["parallel", "slow"]) / (SLOW_S * 1e6)
    floor("100 parallel connects, in round trips of 20 ms", trips, at_most=2.0)
    floor("write and read, shim / bare", ratio("echo", "shim", "bare"), at_most=1.01)
    added_us = statistics.median(
        a - b for a, b in zip(medians["start", "shim"], medians["start", "bare"], strict=True)
    )
    floor("the shim adds to a process start (ms)", added_us / 1000, at_most=0.5)
    finish()


if __name__ == "__main__":
    main()
