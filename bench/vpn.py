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
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from figures import finish, floor, show
from paths import ECHO, PYTHON, SINK, SOURCE, SSHD, TELEPRESENCE, Loader

SANDBOX = Path(__file__).resolve().parent.parent / "sandbox" / "sandbox"
RESOLVER = "198.18.0.53"  # of every laptop
ROUNDS = 5
CONNECTIONS = 100
BYTES, PEERS_BYTES = 150_000_000, 15_000_000
START_S = 30.0


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


def names(ours: Loader, peer: Loader) -> None:
    def ask(each: Loader, name: str, rounds: int, window: int = 1) -> dict[str, list[float]]:
        host, each.host = each.host, RESOLVER
        answer = each.ask("dns", 53, name=name, rounds=rounds, window=window)
        each.host = host
        return answer  # type: ignore[no-any-return] # JSON

    trip = statistics.median(ours.ask("echo", ECHO, rounds=300)["us"])
    # The first shows what a trip for a name costs, with the time that the cluster's DNS takes for
    # "does not exist"; programs ask for the same names, which are kept for their TTL of 5 s.
    show("a cluster name never asked before",
         ask(ours, "n{}.default.svc.cluster.local", 500)["us"], "us")  # fmt: skip
    again = show("a cluster name, one question at a time",
                 ask(ours, "bench.default.svc.cluster.local", 2000)["us"], "us")  # fmt: skip
    floor("cluster name / 64 bytes there and back", again / trip, at_most=1.3)
    kept = ask(ours, "bench.default.svc.cluster.local", 20_000, 32)
    show("a cluster name, 32 at once", kept["us"], "us")
    floor("kept names a second / 2000", float(str(kept["per_s"])) / 2000, at_least=1)
    mine, other = [], []
    for _ in range(ROUNDS):
        mine += ask(ours, "www.internet.example", 200)["us"]
        other += ask(peer, "www.internet.example", 200)["us"]
    more = show("a public name, vpn-tcp", mine, "us") - show("a public name, without", other, "us")
    floor("what a public name costs more, of 300 us", more / 300, at_most=1)


def main() -> None:
    with laptop("bench-vpn") as one, laptop("bench-peer") as two, contextlib.ExitStack() as stack:
        ports = stack.enter_context(forward(one, ECHO, SINK, SOURCE))
        session = [*on(one), TELEPRESENCE, "--logfile", "/dev/null", "-m", "vpn-tcp", "--run"]
        ours = stack.enter_context(loader(session, "bench", {}))
        ours.host = ours.ask("env", 0, name="BENCH_SERVICE_HOST")["value"]
        bare = stack.enter_context(loader(on(one), "127.0.0.1", ports))
        peer = stack.enter_context(sshuttle(two, ours.host))
        connections(ours, bare, peer)
        names(ours, peer)
    finish()


if __name__ == "__main__":
    sys.exit(main())
