"""The search list of a resolv.conf(5)."""

import pytest

from telepresence.resolvconf import take_search
from telepresence.values import SearchList


@pytest.mark.parametrize(
    ("text", "domains", "ndots"),
    [
        ("", (), 1),
        ("nameserver 10.0.0.10\nsearch a.svc b\noptions ndots:5\n", ("a.svc", "b"), 5),
        ("search a\nsearch b.\n", ("b",), 1),
        ("domain a\noptions edns0 ndots:99 rotate\n", ("a",), 15),
        ("search . a\noptions ndots:x\n#search c\n", ("a",), 1),
        ("search \xff\n", (), 1),
        ("search " + " ".join(["x" * 99] * 20), ("x" * 99,) * 10, 1),
    ],
)
def test_the_list_is_that_of_the_file(text: str, domains: tuple[str, ...], ndots: int) -> None:
    assert take_search(text) == SearchList(domains=domains, ndots=ndots)
