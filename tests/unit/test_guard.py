"""The guard as a process: it acts when its session's end of the pipe closes, and not before."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from telepresence.journal import Entry, Journal


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "telepresence-00").mkdir()
    journal = Journal.create("aa", {"log": str(tmp_path / "log")})
    path = str(tmp_path / "telepresence-00")
    journal.write(Entry(kind="directory", facts={"path": path}))
    yield journal
    os.close(journal.fd)


def start(journal: Journal) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "telepresence.guard", str(journal.path), str(journal.fd)],
        stdin=subprocess.PIPE, pass_fds=(journal.fd,), start_new_session=True,
    )  # fmt: skip


def ready(guard: "subprocess.Popen[bytes]") -> None:
    """It has turned off the signals, of which SIGTERM's bit is the last.  Source: proc(5)."""
    deadline = time.monotonic() + 10
    while True:
        status = Path(f"/proc/{guard.pid}/status").read_text()
        ignored = int(status.split("SigIgn:")[1].split()[0], 16)
        if ignored >> (signal.SIGTERM - 1) & 1:
            return
        assert time.monotonic() < deadline


def test_it_undoes_when_the_session_is_gone(journal: Journal, tmp_path: Path) -> None:
    with start(journal) as guard:
        ready(guard)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            guard.send_signal(number)
        assert (tmp_path / "telepresence-00").exists()
        assert guard.poll() is None
        assert guard.stdin is not None
        guard.stdin.close()
        assert guard.wait(10) == 0
    assert not (tmp_path / "telepresence-00").exists()
    assert not journal.path.exists()
    assert "undone from the journal: directory" in (tmp_path / "log").read_text()
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


def test_it_does_nothing_when_the_session_has_undone_all(journal: Journal, tmp_path: Path) -> None:
    with start(journal) as guard:
        journal.path.unlink()
        assert guard.stdin is not None
        guard.stdin.close()
        assert guard.wait(10) == 0
    assert (tmp_path / "telepresence-00").exists()
    assert not (tmp_path / "log").exists()
