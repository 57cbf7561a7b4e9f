"""How fast are vpn-tcp's connections and names, next to a bare port-forward and to sshuttle?

Called by: make bench.
Owns: two laptops of the sandbox, and what runs on them, while it asks.
Never: tunes what it measures.

Ours and the port-forward are on one laptop; sshuttle, with its defaults over an ssh over a
port-forward as Telepresence 1 ran it, is on the other.
"""

import contextlib
import os
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from figures import finish, floor, show
from paths import ECHO, PYTHON, SINK, SOURCE, SSHD, TELEPRESENCE, Loader

LAPTOP = "bench-vpn"
SANDBOX = Path(__file__).resolve().parent.parent / "sandbox" / "sandbox"
RESOLVER = "198.18.0.53"  # of every laptop
CLUSTER_DNS = "10.96.0.10"
POD_NAME = "10-244-77-{}.default.pod.cluster.local"  # exists for any number
KEPT_NAME = "bench.default.svc.cluster.local"
NEW_NAME = "n{}.default.svc.cluster.local"
ROUNDS = 5
CONNECTIONS = 100
BYTES, PEERS_BYTES = 150_000_000, 15_000_000
START_S = 30.0
PER_S, STEADY_S = 200, 60


def on(laptop: str) -> list[str | Path]:
    return [SANDBOX, "laptop", laptop, "--"]


@contextlib.contextmanager
def laptop(name: str) -> Iterator[str]:
    subprocess.run([*on(name), "true"], check=True)
    try:
        yield name
    finally:
        subprocess.run([SANDBOX, "laptop", name, "--delete"], check=True)


@contextlib.contextmanager
def forward(name: str, *ports: int) -> Iterator[dict[int, int]]:
    words = [*on(name), "kubectl", "port-forward", "deployment/bench", *(f":{p}" for p in ports)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found: dict[int, int] = {}
        for line in process.stdout:
            if match := re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)", line):
                found[int(match[2])] = int(match[1])
            if len(found) == len(ports):
                break
        yield found
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def loader(command: list[str | Path], host: str, ports: dict[int, int]) -> Iterator[Loader]:
    made = Loader(command, host, ports)
    try:
        yield made
    finally:
        made.end()


@contextlib.contextmanager
def sshuttle(name: str, host: str) -> Iterator[Loader]:
    ssh = ("ssh -F /dev/null -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
           "-o LogLevel=ERROR")  # fmt: skip
    with forward(name, SSHD) as ports:
        words = [Path(PYTHON).with_name("sshuttle"), "-e", ssh, "--method", "nft",
                 "-r", f"root@127.0.0.1:{ports[SSHD]}", "--python", "python3",
                 f"{host}/32"]  # fmt: skip
        process = subprocess.Popen([*on(name), *words], start_new_session=True,
                                   stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            deadline = time.monotonic() + START_S
            probe = [*on(name), "curl", "-s", "-m", "2", f"telnet://{host}:{ECHO}"]
            while subprocess.run(probe, input=b"x", stdout=subprocess.PIPE).stdout == b"":
                if time.monotonic() > deadline or process.poll() is not None:
                    raise SystemExit("sshuttle did not come up")
                time.sleep(0.2)
            with loader(on(name), host, {}) as made:
                yield made
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def connections(ours: Loader, bare: Loader, peer: Loader) -> None:
    loaders = {"vpn-tcp": ours, "port-forward": bare, "sshuttle": peer}
    bulk: dict[str, dict[str, list[float]]] = {
        do: {n: [] for n in loaders} for do in ("up", "down")
    }
    trips: dict[str, list[float]] = {name: [] for name in loaders}
    times: dict[str, list[float]] = {name: [] for name in loaders}
    ratios = []
    for _ in range(ROUNDS):
        for name, each in loaders.items():
            size = PEERS_BYTES if each is peer else BYTES
            for do, port in (("up", SINK), ("down", SOURCE)):
                bulk[do][name].append(each.ask(do, port, bytes=size)["mb_s"])
            trips[name] += each.ask("echo", ECHO, rounds=CONNECTIONS)["us"]
            times[name] += each.ask("connect", ECHO, rounds=CONNECTIONS)["ms"]
        last = {name: statistics.median(values[-CONNECTIONS:]) for name, values in times.items()}
        ratios.append(last["vpn-tcp"] / last["sshuttle"])
    for do, rates in bulk.items():
        for name, values in rates.items():
            show(f"{do}, {name}", values, "MB/s")
        for name, bound in (("port-forward", 0.9), ("sshuttle", 10)):
            pairs = zip(rates["vpn-tcp"], rates[name], strict=True)
            ratio = statistics.median(mine / other for mine, other in pairs)
            floor(f"{do} vpn-tcp / {name}", ratio, at_least=bound)
    middle = {n: show(f"64 bytes there and back, {n}", v, "us") for n, v in trips.items()}
    floor("64 bytes vpn-tcp / port-forward", middle["vpn-tcp"] / middle["port-forward"],
          at_most=1.15)  # fmt: skip
    for name, values in times.items():
        show(f"connect + 1 byte, {name}", values, "ms")
    floor("connect vpn-tcp / sshuttle", statistics.median(ratios), at_most=0.6)


@dataclass(frozen=True)
class Kept:
    """What the session's own process and the laptop's kernel hold."""

    descriptors: int
    kib: int
    flows: Counter[str]  # of TCP, by state


def observe(name: str) -> Kept:
    pids = subprocess.run(["ip", "netns", "pids", name], check=True, capture_output=True, text=True)
    for path in (Path("/proc") / pid for pid in pids.stdout.split()):
        with contextlib.suppress(OSError):
            words = (path / "cmdline").read_bytes().split(b"\0")
            if os.fsencode(TELEPRESENCE) in words[:3] and b"vpn-tcp" in words:
                kib = int((path / "status").read_text().split("VmRSS:")[1].split()[0])
                descriptors = len(list((path / "fd").iterdir()))
                break
    else:
        raise SystemExit("there is no session")
    listed = subprocess.run([*on(name), "conntrack", "-L", "-p", "tcp"], check=True,
                            capture_output=True, text=True)  # fmt: skip
    flows = Counter(line.split()[3] for line in listed.stdout.splitlines())
    return Kept(descriptors, kib, flows)


def more_connections(ours: Loader, peer: Loader) -> None:
    """Single ones, which wait for the pod as bursts do not; and many for a minute."""
    apart = {"rounds": 50, "pause_ms": 70}
    mine = show(
        "connect + 1 byte, 70 ms apart, vpn-tcp", ours.ask("connect", ECHO, **apart)["ms"], "ms"
    )
    other = show("the same, sshuttle", peer.ask("connect", ECHO, **apart)["ms"], "ms")
    show("ratio of these two", [mine / other], "")
    before = observe(LAPTOP)
    made = ours.ask("steady", ECHO, per_s=PER_S, seconds=STEADY_S)
    time.sleep(2)  # the last ones end
    after = observe(LAPTOP)
    show(f"connect + 1 byte, {PER_S} a second", made["ms"], "ms")
    print(f"before {before}; after {after}; errors {Counter(made['errors'])}")
    floor("errors of these", len(made["errors"]), at_most=0)
    floor(f"a second / {PER_S}", len(made["ms"]) / made["seconds"] / PER_S, at_least=0.99)
    floor("descriptors more afterwards", after.descriptors - before.descriptors, at_most=0)
    floor("resident KiB afterwards / before", after.kib / before.kib, at_most=1.1)
    # TIME_WAIT is the kernel's own, for 2 minutes, and whatever the firewall.
    left = sum((after.flows - before.flows - Counter(TIME_WAIT=after.flows["TIME_WAIT"])).values())
    floor("flows more afterwards, but for TIME_WAIT", left, at_most=0)


def prime(first: int) -> list[float]:
    """Have the cluster's DNS remember names, where it can be asked from here; and how many us it
    takes by itself when it is asked for them again."""
    taken: list[float] = []
    with contextlib.suppress(OSError), socket.create_connection((CLUSTER_DNS, 53), 2) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in [*range(first, first + 50)] * 2:
            wire = b"".join(
                bytes([len(label)]) + label.encode() for label in POD_NAME.format(number).split(".")
            )
            query = struct.pack("!6H", number, 256, 1, 0, 0, 0) + wire + b"\0\0\1\0\1"
            began = time.perf_counter()
            sock.sendall(len(query).to_bytes(2, "big") + query)
            sock.recv(4096)
            taken.append((time.perf_counter() - began) * 1e6)
    return taken[50:]


def memory(ours: Loader) -> None:
    """A million questions: some for names that are new each time, most for kept ones."""
    ours.host, host = RESOLVER, ours.host
    ours.ask("dns", 53, name=NEW_NAME, rounds=20_000, window=32)
    ours.ask("dns", 53, name=KEPT_NAME, rounds=20_000, window=32)
    before = observe(LAPTOP).kib
    for part in range(10):
        ours.ask("dns", 53, name=NEW_NAME, rounds=5_000, window=32, first=20_000 + part * 5_000)
        ours.ask("dns", 53, name=KEPT_NAME, rounds=95_000, window=32)
    ours.host = host
    more = observe(LAPTOP).kib - before
    floor(f"{more} KiB more after 10^6 questions, of 4096", more / 4096, at_most=1)


def names(ours: Loader, peer: Loader) -> None:
    def ask(
        each: Loader, name: str, rounds: int, window: int = 1, first: int = 0
    ) -> dict[str, list[float]]:
        host, each.host = each.host, RESOLVER
        answer = each.ask("dns", 53, name=name, rounds=rounds, window=window, first=first)
        each.host = host
        return answer  # type: ignore[no-any-return] # JSON

    fresh, ratios, itself = [], [], list[float]()
    for first in range(0, 250, 50):
        # Names that exist, which we have not kept and the cluster's DNS has, as CoreDNS keeps them.
        itself += prime(first)
        trip = statistics.median(ours.ask("echo", ECHO, rounds=300)["us"])
        fresh += ask(ours, POD_NAME, 50, first=first)["us"]
        ratios.append(statistics.median(fresh[-50:]) / trip)
    show("a cluster name that is not kept here", fresh, "us")
    if itself:
        show("of it the cluster's DNS, asked beside it", itself, "us")
    floor("cluster name / 64 bytes there and back", statistics.median(ratios), at_most=1.3)
    show("a name that does not exist",
         ask(ours, "n{}.default.svc.cluster.local", 500)["us"], "us")  # fmt: skip
    show("a cluster name that is kept", ask(ours, KEPT_NAME, 2000)["us"], "us")
    kept = ask(ours, KEPT_NAME, 20_000, 32)
    show("a cluster name, 32 at once", kept["us"], "us")
    floor("kept names a second / 2000", float(str(kept["per_s"])) / 2000, at_least=1)
    mine, other = [], []
    for _ in range(ROUNDS):
        mine += ask(ours, "www.internet.example", 200)["us"]
        other += ask(peer, "www.internet.example", 200)["us"]
    more = show("a public name, vpn-tcp", mine, "us") - show("a public name, without", other, "us")
    floor("what a public name costs more, of 300 us", more / 300, at_most=1)


def main() -> None:
    with laptop(LAPTOP) as one, laptop("bench-peer") as two, contextlib.ExitStack() as stack:
        ports = stack.enter_context(forward(one, ECHO, SINK, SOURCE))
        session = [*on(one), TELEPRESENCE, "--logfile", "/dev/null", "-m", "vpn-tcp", "--run"]
        ours = stack.enter_context(loader(session, "bench", {}))
        ours.host = ours.ask("env", 0, name="BENCH_SERVICE_HOST")["value"]
        bare = stack.enter_context(loader(on(one), "127.0.0.1", ports))
        peer = stack.enter_context(sshuttle(two, ours.host))
        connections(ours, bare, peer)
        more_connections(ours, peer)
        names(ours, peer)
        memory(ours)
    finish()


if __name__ == "__main__":
    sys.exit(main())
