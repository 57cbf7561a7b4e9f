"""The supervisor in front of a command: the words that it gets, and its lines in the log."""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from telepresence.method.supervise import supervised
from telepresence.values import Launch

LAUNCH = Launch(program="/bin/sh", argv=("sh", "-c", "x"), environ={b"A": b"b"})


def test_the_command_comes_behind_the_supervisor_with_a_way_to_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def scene() -> tuple[int, ...]:
        with supervised(LAUNCH, Path("/opt/sup"), Path("/tmp/conf")) as launch:
            (sink,) = launch.pass_fds
            assert launch.program == "/opt/sup"
            assert launch.argv == (
                "/opt/sup", "/tmp/conf", str(sink), "/bin/sh", "sh", "-c", "x",
            )  # fmt: skip
            assert launch.environ == LAUNCH.environ
            os.write(sink, b"one\nand ")
            await asyncio.sleep(0)
            os.write(sink, b"two\xff\n")
        return launch.pass_fds

    (sink,) = asyncio.run(scene())
    assert [record.message for record in caplog.records][-2:] == ["one", "and two\\xff"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(sink)
