"""What do a connect, a round trip and a process start cost under the shim and the supervisor?

Called by: make bench.
Owns: the servers and programs of one process.
Never: tunes what it measures; judges anything but ratios of one run.
"""

import contextlib
import os
import socket
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from figures import finish, floor, show
from relay import echo, serve
from telepresence.fastpath import Engine, SocksServer
from telepresence.method.inject import SHIM, write_settings
from telepresence.program import SUPERVISOR

ROUNDS = {"connect": 7, "echo": 21, "message": 7, "start": 7}  # who runs on which core is chance
TIMES = {"connect": 300, "echo": 2000, "message": 2000, "start": 200}
WAYS = ("bare", "shim", "supervisor", "both")
PROGRAM = Path(__file__).with_suffix(".c")


def own_address() -> str:
    """An address of this machine that is not loopback, which both would leave alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.1", 9))  # sends nothing
        address: str = sock.getsockname()[0]
        return address


@contextlib.contextmanager
def settings(folder: Path) -> Iterator[Path]:
    with contextlib.closing(Engine()) as engine:
        door = socket.create_server(("127.0.0.1", 0), backlog=512)
        server = SocksServer(engine, door, username="bench", password="bench")
        path = folder / "preload.conf"
        write_settings(path, port=server.port, username="bench", password="bench")
        yield path


def ask(program: Path, conf: Path, way: str, what: str, host: str, port: int) -> list[float]:
    words = [str(program), what, host, str(port), str(TIMES[what])]
    env = dict(os.environ)
    if way in ("supervisor", "both"):
        words = [str(SHIM.with_name(SUPERVISOR)), str(conf), "2", words[0], *words]
    if way in ("shim", "both"):
        env |= {"LD_PRELOAD": str(SHIM), "TORSOCKS_CONF_FILE": str(conf)}
    done = subprocess.run(words, env=env, check=True, stdout=subprocess.PIPE, text=True)
    return [float(line) for line in done.stdout.split()]


def main() -> None:
    taken: dict[tuple[str, str], list[float]] = {}
    medians: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        program = Path(name) / "engines"
        subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", "-o", program, PROGRAM], check=True)
        # Round trips on loopback, where no proxy is in between: what the system calls alone cost.
        places = dict.fromkeys(TIMES, ("127.0.0.1", serve(echo)))
        places["connect"] = (own_address(), serve(echo, own_address()))
        with settings(Path(name)) as conf:
            for what in TIMES:
                for _ in range(ROUNDS[what]):
                    for way in WAYS:
                        values = ask(program, conf, way, what, *places[what])
                        taken.setdefault((what, way), []).extend(values)
                        medians.setdefault((what, way), []).append(statistics.median(values))
    for (what, way), values in taken.items():
        show(f"{what}, {way}", values, "us")

    def ratio(what: str, way: str, peer: str) -> float:
        pairs = zip(medians[what, way], medians[what, peer], strict=True)
        return statistics.median(a / b for a, b in pairs)

    floor("connect supervisor / shim", ratio("connect", "supervisor", "shim"), at_most=3.0)
    floor("connect both / shim", ratio("connect", "both", "shim"), at_most=2.0)
    floor("write and read, supervisor / bare", ratio("echo", "supervisor", "bare"), at_most=1.02)
    added_us = statistics.median(taken["start", "both"]) - statistics.median(taken["start", "shim"])
    floor("the supervisor adds to a process start (ms)", added_us / 1000, at_most=0.5)
    finish()


if __name__ == "__main__":
    main()
