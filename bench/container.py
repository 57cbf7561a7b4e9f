"""How fast is a container in the pod's place, next to a bare port-forward and to sshuttle?

Called by: make bench.
Owns: the sessions, the port-forward and the laptop of sshuttle, while it asks.
Never: tunes what it measures.

The load generator runs in the container, and for the port-forward on the machine itself; sshuttle
is in a laptop of the sandbox, as vpn.py has it.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from figures import finish, floor, show
from paths import ECHO, HERE, SINK, SOURCE, TELEPRESENCE, Loader, bare_port_forward
from vpn import SANDBOX, laptop, sshuttle

IMAGE = "sandbox-base:1"
ROUNDS = 5
STARTS = 5
CONNECTIONS = 100
BYTES, PEERS_BYTES = 150_000_000, 15_000_000
IDLE_MB = 25


def said(words: Sequence[str | Path]) -> str:
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout


def engine() -> None:
    """The sandbox's, with the agent's image."""
    subprocess.run([SANDBOX, "docker", "up"], check=True, stdout=subprocess.DEVNULL)
    (host,) = re.findall(r"DOCKER_HOST=(\S+)", said([SANDBOX, "env"]))
    os.environ["DOCKER_HOST"] = host
    archive = said([HERE.parent / "pod-image" / "build"]).splitlines()[-1]
    subprocess.run(["docker", "load", "--quiet", "--input", archive], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip


def session(folder: Path, *words: str | Path) -> list[str | Path]:
    return [TELEPRESENCE, "--logfile", folder / "log", "--mount", "false", "--docker-run", *words]


def start(folder: Path) -> float:
    """Seconds from the tunnel to the container's own start: its network, with no port to open."""
    subprocess.run(session(folder, "--rm", IMAGE, "true"), check=True)
    log = (folder / "log").read_text()
    stages = {
        name: float(at)
        for at, name in re.findall(r"^\S+ +([0-9.]+) .*stage: (.+) after", log, re.M)
    }
    return stages["process started"] - stages["tunnel up"]


def memory() -> float:
    """MB that the idle proxy container takes, by the kernel's account."""
    (proxy,) = re.findall(r"\S+-proxy$", said(["docker", "ps", "--format", "{{.Names}}"]), re.M)
    shown = said(["docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", proxy])
    (used,) = re.findall(r"^([0-9.]+)MiB", shown)
    return float(used) * 2**20 / 1e6


def connections(loaders: dict[str, Loader]) -> None:
    bulk: dict[str, dict[str, list[float]]] = {
        do: {name: [] for name in loaders} for do in ("up", "down")
    }
    trips: dict[str, list[float]] = {name: [] for name in loaders}
    times: dict[str, list[float]] = {name: [] for name in loaders}
    ratios = []
    for _ in range(ROUNDS):
        for name, each in loaders.items():
            size = PEERS_BYTES if name == "sshuttle" else BYTES
            for do, port in (("up", SINK), ("down", SOURCE)):
                bulk[do][name].append(each.ask(do, port, bytes=size)["mb_s"])
            trips[name] += each.ask("echo", ECHO, rounds=CONNECTIONS)["us"]
            times[name] += each.ask("connect", ECHO, rounds=CONNECTIONS)["ms"]
        last = {name: statistics.median(values[-CONNECTIONS:]) for name, values in times.items()}
        ratios.append(last["container"] / last["sshuttle"])
    for do, rates in bulk.items():
        for name, values in rates.items():
            show(f"{do}, {name}", values, "MB/s")
        pairs = zip(rates["container"], rates["port-forward"], strict=True)
        ratio = statistics.median(mine / other for mine, other in pairs)
        floor(f"{do} container / port-forward", ratio, at_least=0.9)
    middle = {name: show(f"64 bytes there and back, {name}", v, "us") for name, v in trips.items()}
    ratio = middle["container"] / middle["port-forward"]
    floor("64 bytes container / port-forward", ratio, at_most=1.15)
    for name, values in times.items():
        show(f"connect + 1 byte, {name}", values, "ms")
    floor("connect container / sshuttle", statistics.median(ratios), at_most=0.6)


def main() -> None:
    engine()
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = Path(place)
        starts = [start(folder) for _ in range(STARTS)]
        floor("tunnel to the container's start, of 1.5 s", show("tunnel to the container's start",
              starts, "s") / 1.5, at_most=1)  # fmt: skip
        # What Loader adds, its own Python and the program's place, are $0 and $1 of the shell.
        run = ["-i", "--rm", "-v", f"{HERE}:{HERE}:ro", IMAGE, "sh", "-c", 'exec python3 "$1"']
        ours = Loader(session(folder, *run), "bench", {})
        stack.callback(ours.end)
        ours.host = ours.ask("env", 0, name="BENCH_SERVICE_HOST")["value"]
        time.sleep(2)  # the start's own memory has been given back
        floor(f"idle proxy container, of {IDLE_MB} MB",
              show("idle proxy container", [memory()], "MB") / IDLE_MB, at_most=1)  # fmt: skip
        bare = stack.enter_context(bare_port_forward())
        name = stack.enter_context(laptop("bench-peer"))
        peer = stack.enter_context(sshuttle(name, ours.host))
        connections({"container": ours, "port-forward": bare, "sshuttle": peer})
    finish()


if __name__ == "__main__":
    sys.exit(main())
