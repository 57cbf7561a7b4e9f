"""Every process of a session is found by its mark, and ended."""

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from telepresence.descendants import MARK, end_all, marked

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="this system has no /proc")


def start(session: str, script: str) -> "subprocess.Popen[str]":
    environ = {**os.environ, MARK: session}
    return subprocess.Popen(
        ["sh", "-c", script], env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def test_daemons_that_left_their_session_are_ended_too() -> None:
    session = uuid.uuid4().hex
    with start(session, "setsid sleep 60 & setsid sleep 60 & echo up") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.wait()
        deadline = time.monotonic() + 5
        while len(marked(session)) < 2:
            assert time.monotonic() < deadline
        assert end_all(session, 5.0) == 2
        assert marked(session) == []


def test_what_hears_no_sigterm_is_killed() -> None:
    session = uuid.uuid4().hex
    with start(session, "trap '' TERM; echo up; while :; do sleep 60; done") as process:
        assert process.stdout is not None
        process.stdout.readline()
        began = time.monotonic()
        end_all(session, 0.2)
        assert process.wait(5) == -9
        assert 0.2 <= time.monotonic() - began < 3


def test_one_that_is_executed_again_and_again_is_always_found(tmp_path: Path) -> None:
    session, script = uuid.uuid4().hex, tmp_path / "again"
    script.write_text("#!/bin/sh\n[ -e begun ] || { echo up; : > begun; }\nexec $0\n")
    script.chmod(0o755)
    with start(session, f"cd {tmp_path} && exec {script}") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        found = [marked(session) for _ in range(100)]
        process.kill()
    assert found == [[process.pid]] * 100


def test_other_sessions_are_left_alone() -> None:
    session = uuid.uuid4().hex
    with start(session + "0", "echo up; exec sleep 60") as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert end_all(session, 0.1) == 0
        assert process.poll() is None
        process.kill()
