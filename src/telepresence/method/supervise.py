"""Put the supervisor of the seccomp engine in front of a command, and its lines into the log.

Called by: inject.
Owns: the pipe that the lines come through, until the context ends.
Never: starts anything; the runner does.
"""

import asyncio
import contextlib
import dataclasses
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from telepresence.values import Launch

log = logging.getLogger(__name__)


class _Lines:
    """What comes through a pipe, line by line."""

    def __init__(self, source: int) -> None:
        self._source = source
        self._rest = b""

    def read(self) -> None:
        """All that is there now; the pipe does not block."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._source, 65536):
                *lines, self._rest = (self._rest + data).split(b"\n")
                for line in lines:
                    log.warning("%s", line.decode(errors="backslashreplace"))


@contextlib.contextmanager
def supervised(launch: Launch, supervisor: Path, settings: Path) -> Iterator[Launch]:
    """The same launch behind the supervisor, which ends as the command does."""
    source, sink = os.pipe()
    os.set_blocking(source, False)
    os.set_blocking(sink, False)
    lines = _Lines(source)
    loop = asyncio.get_running_loop()
    loop.add_reader(source, lines.read)
    words = (str(supervisor), str(settings), str(sink), launch.program)
    try:
        yield dataclasses.replace(
            launch, program=str(supervisor), argv=(*words, *launch.argv), pass_fds=(sink,)
        )
    finally:
        loop.remove_reader(source)
        lines.read()
        os.close(source)
        os.close(sink)
