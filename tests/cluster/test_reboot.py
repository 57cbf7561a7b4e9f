"""A machine that goes down in the middle of a session, and comes up again."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig import Telepresence
from telepresence.descendants import MARK
from workloads import apply, state, until, until_ready, until_state, workload

INJECT = ("-m", "inject-tcp")
# Another start of the machine, as the session sees it: random(4).  Its mounts end with it.
EARLIER = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'


@pytest.fixture
def earlier(tmp_path: Path) -> list[str]:
    """The words before a command that runs in another start of the machine."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can show a process another boot_id")
    boot = tmp_path / "boot_id"
    boot.write_text(f"{uuid.uuid4()}\n")
    return ["unshare", "--mount", "sh", "-c", EARLIER, str(boot)]


def power_cut(pid: int) -> None:
    """Every process of that start ends at once, and none hears of another's end."""
    started = (Path("/proc") / str(pid) / "ns" / "mnt").readlink()

    def left() -> list[int]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (process / "ns" / "mnt").readlink() == started:
                    found.append(int(process.name))
        return found

    for number in (signal.SIGSTOP, signal.SIGKILL):
        for one in left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, number)
    until(lambda: not left(), 10)


@contextlib.contextmanager
def somebody_elses(place: Path, session: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A mount at the place, and a process with the mark: since the machine came up again."""
    subprocess.run(["mount", "-t", "tmpfs", "somebody", place], check=True)
    with subprocess.Popen(["sleep", "60"], env={**os.environ, MARK: session}) as process:
        try:
            yield process
        finally:
            process.kill()
            subprocess.run(["umount", place], check=False)


@pytest.mark.parametrize(
    "words", [("--run", "true"), ("restore",), ("restore", "--all")], ids=" ".join
)
def test_what_a_machine_left_that_went_down_is_put_back(
    telepresence: Telepresence, namespace: str, earlier: list[str], words: tuple[str, ...]
) -> None:
    apply(namespace, workload("web", replicas=1))
    until_ready(namespace, "deployment/web")
    before = state(namespace)
    folder, place = telepresence.directory / "tmp", telepresence.directory / "mounted"
    folder.mkdir()
    place.mkdir()
    own = (*INJECT, "--namespace", namespace, "-s", "web", "--mount", str(place))
    with subprocess.Popen(
        [*earlier, *telepresence.argv(*own, "--run", "sleep", "100")],
        cwd=telepresence.directory, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=telepresence.environ({"TMPDIR": str(folder)}), start_new_session=True,
    ) as process:  # fmt: skip
        telepresence.wait_log("stage: process started")
        power_cut(process.pid)
    (journal,) = telepresence.journals()
    session = json.loads(journal.read_text().splitlines()[0])["session"]
    assert state(namespace) != before
    assert list(folder.iterdir())
    with somebody_elses(place, session) as other:
        again = words if words[0] == "restore" else (*INJECT, *words)
        done = telepresence(*again[:2], "--namespace", namespace, *again[2:])
        assert done.code == 0, done.err
        assert any("earlier session" in said or "of this machine" in said for said in done.said)
        assert other.poll() is None
        assert place.is_mount()
    until_state(namespace, before)
    assert not telepresence.journals()
    assert not list(folder.iterdir())
