"""What do 63 downloads lose when the reader of a 64th stops?

Called by: make bench.
Owns: the session, while it asks.
Never: tunes what it measures.
"""

import statistics

from figures import finish, floor, show
from paths import SOURCE, inject_tcp

ROUNDS = 5
STREAMS = 64
SECONDS = 3


def main() -> None:
    free, held, ratios = [], [], []
    with inject_tcp() as ours:
        for _ in range(ROUNDS):
            order = {"seconds": SECONDS}
            free.append(ours.ask("crowd", SOURCE, streams=STREAMS - 1, stopped=0, **order)["mb_s"])
            held.append(ours.ask("crowd", SOURCE, streams=STREAMS, stopped=1, **order)["mb_s"])
            ratios.append(held[-1] / free[-1])
    show("63 streams alone", free, "MB/s")
    show("63 streams beside a stopped one", held, "MB/s")
    floor("63 beside a stopped one / 63 alone", statistics.median(ratios), at_least=0.95)
    finish()


if __name__ == "__main__":
    main()
