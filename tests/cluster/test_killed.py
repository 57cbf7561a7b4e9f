"""kill -9 at each step of a session: cluster and machine are as before, soon after."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rig import Telepresence
from telepresence import descendants
from workloads import apply, state, until, until_ready, until_state, workload

KILLED = Path(__file__).with_name("killed.py")
DEADLINE_S = 20.0
LEAST_STEPS = 30
AT_ONCE = 3


def machine(place: Path) -> set[str]:
    """Journals and directories that a session made."""
    return {
        str(path) for path in [*place.glob("telepresence/*.journal"), *place.glob("telepresence-*")]
    }


def run_killed(namespace: str, name: str, step: int, place: Path) -> int:
    """One session, killed at that step; asserts that all is undone.  Returns its exit code."""
    place.mkdir()
    environ = {**os.environ, "XDG_STATE_HOME": str(place), "TMPDIR": str(place)}
    words = ["-m", "inject-tcp", "--namespace", namespace, "-s", name]
    words += ["--logfile", str(place / "telepresence.log")]
    words += ["--run", "sh", "-c", "sleep 100 & sleep 0.2"]
    done = subprocess.run(
        [sys.executable, KILLED, str(step), str(place / "steps"), *words], env=environ,
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode in (-9, 0), done.stderr
    deadline = time.monotonic() + DEADLINE_S
    while left := machine(place):
        assert time.monotonic() < deadline, (step, left, (place / "telepresence.log").read_text())
        time.sleep(0.05)
    return done.returncode


def processes_of(place: Path) -> list[int]:
    """Those whose session's files were there."""
    wanted = f"TMPDIR={place}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_whenever_it_is_killed_everything_is_undone(
    telepresence: Telepresence, namespace: str
) -> None:
    names = [f"web{number}" for number in range(AT_ONCE)]
    apply(namespace, *(workload(name, replicas=1) for name in names))
    for name in names:
        until_ready(namespace, f"deployment/{name}")
    before = state(namespace)
    place = telepresence.directory
    assert run_killed(namespace, names[0], 0, place / "whole") == 0
    steps = int((place / "whole" / "steps").read_text())
    assert steps >= LEAST_STEPS
    until_state(namespace, before)

    def series(number: int) -> list[str]:
        failures = []
        for step in range(1 + number, steps + 1, AT_ONCE):
            folder = place / f"step-{step}"
            try:
                assert run_killed(namespace, names[number], step, folder) == -9
                until(lambda folder=folder: not processes_of(folder), DEADLINE_S)  # type: ignore[misc]
            except AssertionError as exc:
                failures.append(f"step {step}: {exc}")
        return failures

    with ThreadPoolExecutor(AT_ONCE) as pool:
        failures = [failure for found in pool.map(series, range(AT_ONCE)) for failure in found]
    assert not failures
    until_state(namespace, before, DEADLINE_S)


def test_when_the_guard_is_killed_too_the_next_run_repairs(
    telepresence: Telepresence, namespace: str
) -> None:
    apply(namespace, workload("web", replicas=1))
    until_ready(namespace, "deployment/web")
    before = state(namespace)
    words = ("-m", "inject-tcp", "--namespace", namespace, "-s", "web", "--run", "sleep", "100")
    with telepresence.running(*words) as process:
        said = telepresence.wait_log("stage: process started")
        guard = int(said.split("the guard is process ")[1].split()[0])
        session = json.loads(telepresence.journals()[0].read_text().splitlines()[0])["session"]
        os.kill(guard, 9)
        process.kill()
        process.wait()
        assert state(namespace) != before
        until(lambda: not descendants.marked(session))  # its reaper sees to that
        again = telepresence("-m", "inject-tcp", "--namespace", namespace, "--run", "true")
    assert again.code == 0, again.err
    assert "an earlier session left things behind" in again.said[0]
    until_state(namespace, before)
    assert not telepresence.journals()
