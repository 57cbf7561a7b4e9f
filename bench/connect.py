"""How long is a new connection and one byte there and back, next to a bare port-forward?

Called by: make bench.
Owns: the session and its peer, while it asks.
Never: tunes what it measures.
"""

import statistics

from figures import finish, floor, show
from paths import ECHO, bare_port_forward, inject_tcp

ROUNDS = 9
CONNECTIONS = 100


def main() -> None:
    times: dict[str, list[float]] = {"inject-tcp": [], "port-forward": []}
    trips: dict[str, list[float]] = {"inject-tcp": [], "port-forward": []}
    ratios = []
    with inject_tcp() as ours, bare_port_forward() as bare:
        # By address, as the port-forward's client does: the look-up of a name is not compared.
        ours.host = ours.ask("env", 0, name="BENCH_SERVICE_HOST")["value"]
        for _ in range(ROUNDS):
            medians = {}
            for name, loader in zip(times, (ours, bare), strict=True):
                taken = loader.ask("connect", ECHO, rounds=CONNECTIONS)["ms"]
                medians[name] = statistics.median(taken)
                times[name] += taken
                trips[name] += loader.ask("echo", ECHO, rounds=CONNECTIONS)["us"]
            ratios.append(medians["inject-tcp"] / medians["port-forward"])
    for name, values in times.items():
        show(f"connect + 1 byte, {name}", values, "ms")
    for name, values in trips.items():
        show(f"64 bytes there and back, {name}", values, "us")
    ratio = statistics.median(ratios)
    floor("connect inject-tcp / port-forward", ratio, at_most=0.6)
    finish()


if __name__ == "__main__":
    main()
