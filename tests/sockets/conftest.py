"""What every test of this folder stands on, and what it must leave: nothing.

Called by: every test of this folder.
Owns: engines and servers, each closed at the end of its test; no descriptor may be left.
Never: a mock.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator

import pytest

from telepresence.fastpath import Engine
from wires import DEADLINE_S, Ends, Server, connected_pair, echo


def open_fds() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 # names, which iterdir would stat for nothing


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before, threads = len(open_fds()), threading.active_count()
    yield
    # A resolver's thread may still wait for a name server that does not answer (resolv.conf(5)).
    deadline = time.monotonic() + DEADLINE_S
    while len(open_fds()) > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(open_fds()) <= before
    assert threading.active_count() <= threads


@pytest.fixture
def engine(nothing_is_left: None) -> Iterator[Engine]:
    with contextlib.closing(Engine()) as made:
        yield made


@pytest.fixture
def unjoined(nothing_is_left: None) -> Iterator[Ends]:
    """Two ends without a carrier yet."""
    with contextlib.closing(Ends()) as ends:
        yield ends


@pytest.fixture
def ends(unjoined: Ends) -> Ends:
    unjoined.attach(*connected_pair())
    return unjoined


@pytest.fixture
def echo_server(nothing_is_left: None) -> Iterator[Server]:
    with contextlib.closing(Server(echo)) as server:
        yield server
