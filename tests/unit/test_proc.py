"""Programs that help: none outlives the process that started it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from telepresence.proc import bound_to_us

PARENT = """
import os, subprocess, sys
from telepresence.proc import bound_to_us
process = subprocess.Popen(bound_to_us(["sh", "-c", "echo up; exec sleep 60"]), stdout=1)
sys.stdin.read(1)
os._exit(0)
"""


@pytest.mark.skipif(not shutil.which("setpriv"), reason="no setpriv of util-linux")
def test_a_program_ends_with_the_process_that_started_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        assert parent.stdout.readline() == b"up\n"
        parent.stdin.close()
        # The pipe's other end is the program's: it ends when the program does.
        assert parent.stdout.read() == b""


def test_without_setpriv_the_command_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bound_to_us(["a", "b"]) == ["a", "b"]


def test_words_that_look_like_options_stay_the_commands() -> None:
    said = subprocess.run(
        bound_to_us([shutil.which("printf") or "printf", "%s|", "--pdeathsig", "--"]),
        check=True, capture_output=True, env=os.environ,
    )  # fmt: skip
    assert said.stdout == b"--pdeathsig|--|"
