"""How fast is one stream up and down, next to a bare port-forward and to `ssh -L` over one?

Called by: make bench.
Owns: the session and the two peers, while it asks.
Never: tunes what it measures.

The peers run in the same session, in turn, so that a machine's drift touches all alike.
"""

import statistics

from figures import finish, floor, show
from paths import SINK, SOURCE, bare_port_forward, inject_tcp, ssh_forward

ROUNDS = 7
BYTES = 150_000_000


def main() -> None:
    with inject_tcp() as ours, bare_port_forward() as bare, ssh_forward() as ssh:
        for do, port in (("up", SINK), ("down", SOURCE)):
            rates: dict[str, list[float]] = {"inject-tcp": [], "port-forward": [], "ssh -L": []}
            for _ in range(ROUNDS):
                for name, loader in zip(rates, (ours, bare, ssh), strict=True):
                    rates[name].append(loader.ask(do, port, bytes=BYTES)["mb_s"])
            for name, values in rates.items():
                show(f"{do} {name}", values, "MB/s")
            for name, bound in (("port-forward", 0.85), ("ssh -L", 1.5)):
                pairs = zip(rates["inject-tcp"], rates[name], strict=True)
                ratio = statistics.median(mine / other for mine, other in pairs)
                floor(f"{do} inject-tcp / {name}", ratio, at_least=bound)
    finish()


if __name__ == "__main__":
    main()
