"""The search list of a resolv.conf(5).

Called by: environ/merge.py, with what the agent's container has.
Owns: nothing.
Never: reads a file; fails: what is not understood is as if it were not there.
"""

from telepresence.values import SearchList

NDOTS_MAX = 15  # resolv.conf(5)
SEARCH_MAX_BYTES = 1000  # of the shim, preload/settings.h; Kubernetes allows 2048 in 32 domains


def take_search(text: str) -> SearchList:
    """The last `search` or `domain` and the last `ndots` count."""
    domains: tuple[str, ...] = ()
    ndots = 1
    for line in text.splitlines():
        match line.split():
            case ["search", *names]:
                domains = tuple(names)
            case ["domain", name]:
                domains = (name,)
            case ["options", *options]:
                for option in options:
                    word, _, value = option.partition(":")
                    if word == "ndots" and value.isdigit():
                        ndots = min(int(value), NDOTS_MAX)
    while sum(len(name) + 1 for name in domains) > SEARCH_MAX_BYTES:
        domains = domains[:-1]
    # The root, which a search list may name, completes nothing.
    whole = (name.strip(".") for name in domains if name != "." and name.isascii())
    return SearchList(domains=tuple(whole), ndots=ndots)
