"""What a whole run must leave: nothing.

Called by: pytest, for every folder beside it.
Owns: nothing.
Never: brings a cluster up (`setup/cluster` does, for `make test`).
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest


def _children() -> set[int]:
    """Direct children of this process.  Source: proc(5), task/TID/children."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {int(pid) for task in tasks for pid in task.read_text().split()}


def _descriptors() -> dict[int, str]:
    found = {}
    for link in list(Path("/proc/self/fd").iterdir()):
        try:
            target = str(link.readlink())
        except FileNotFoundError:  # the one that listed the directory
            continue
        # Files that pytest itself keeps are none of ours: only what a process or peer holds too.
        if re.match(r"(socket|pipe|anon_inode):", target):
            found[int(link.name)] = target
    return found


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_by_the_run() -> Iterator[None]:
    """What was opened is closed: no socket, pipe or child process outlives the last test."""
    children, descriptors = _children(), _descriptors()
    yield
    assert _children() <= children
    left = {fd: what for fd, what in _descriptors().items() if descriptors.get(fd) != what}
    assert not left
