"""kill -9 at each step of a session: cluster and machine are as before, soon after."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

import engine_rig
from laptop import lent
from rig import Telepresence
from telepresence import descendants
from workloads import (
    apply,
    made_namespace,
    state,
    until,
    until_ready,
    until_state,
    workload,
)

KILLED = Path(__file__).with_name("killed.py")
DEADLINE_S = 20.0
LEAST_STEPS = 30
AT_ONCE = 3
POINTS = 10  # of each other method


@dataclass
class Series:
    """Sessions one after another, each killed at a step of its own, where nobody else is."""

    directory: Path
    namespace: str
    words: tuple[str, ...]
    run: tuple[str, ...] = ("--run", "sh", "-c", "sleep 100 & sleep 0.2")
    on: Callable[..., list[str]] = lambda *words: [*words]  # the machine that it is for
    beyond: Callable[[], object] = lambda: None  # what else a session changes there

    def __post_init__(self) -> None:
        self.directory.mkdir()
        self._before = state(self.namespace), self.beyond()

    def steps(self) -> int:
        """Of a session that nobody kills."""
        place = self.directory / "whole"
        assert self._session(place, 0) == 0
        assert self._undone(place)
        return int((place / "steps").read_text())

    def killed_at(self, step: int) -> str:
        """What is left after DEADLINE_S, in words; "" if nothing is."""
        place = self.directory / f"step-{step}"
        assert self._session(place, step) in (-signal.SIGKILL, 128 + signal.SIGKILL)
        try:
            assert self._undone(place)
        except AssertionError as exc:
            said = place / "telepresence.log"
            return f"step {step}: {exc}\n{said.read_text() if said.exists() else ''}"
        return ""

    def _session(self, place: Path, step: int) -> int:
        place.mkdir()
        environ = {**os.environ, "XDG_STATE_HOME": str(place), "TMPDIR": str(place)}
        own = ("--namespace", self.namespace, "--logfile", str(place / "telepresence.log"))
        command = (sys.executable, str(KILLED), str(step), str(place / "steps"))
        done = subprocess.run(
            self.on(*command, *self.words, *own, *self.run), env=environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode != 255, done.stderr
        return done.returncode

    def _undone(self, place: Path) -> bool:
        deadline = time.monotonic() + DEADLINE_S
        until(lambda: not files_of(place), DEADLINE_S)
        until(lambda: not processes_of(place), deadline - time.monotonic())
        until_state(self.namespace, self._before[0], deadline - time.monotonic())
        until(lambda: self.beyond() == self._before[1], deadline - time.monotonic())
        return True


def files_of(place: Path) -> list[Path]:
    """Journals, and whatever a session made where temporary files are."""
    kept = {"telepresence", "telepresence.log", "steps"}
    made = [path for path in place.iterdir() if path.name not in kept]
    return [*place.glob("telepresence/*.journal"), *made]


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


def swapped(namespace: str) -> tuple[str, ...]:
    apply(namespace, workload("web", replicas=1))
    until_ready(namespace, "deployment/web")
    return ("-s", "web")


def failures(work: Iterable[tuple[Series, Iterable[int]]]) -> list[str]:
    """All series at the same time."""

    def killed(one: tuple[Series, Iterable[int]]) -> list[str]:
        return [said for step in one[1] if (said := one[0].killed_at(step))]

    with ThreadPoolExecutor() as pool:
        return [said for found in pool.map(killed, work) for said in found]


def test_whenever_it_is_killed_everything_is_undone(tmp_path: Path, kubeconfig: Path) -> None:
    with ExitStack() as stack:
        namespaces = [stack.enter_context(made_namespace()) for _ in range(AT_ONCE)]
        all_series = [
            Series(tmp_path / name, name, ("-m", "inject-tcp", *swapped(name)))
            for name in namespaces
        ]
        steps = all_series[0].steps()
        assert steps >= LEAST_STEPS
        work = [(one, range(1 + n, steps + 1, AT_ONCE)) for n, one in enumerate(all_series)]
        assert not failures(work)


def some(steps: int) -> range:
    """About POINTS steps from the first to the last; by turns before and after what they do."""
    return range(1, steps + 1, max(1, steps // POINTS) | 1)


@pytest.mark.usefixtures("engine_left_as_it_was")
def test_with_other_methods_and_operations_everything_is_undone_too(
    tmp_path: Path, kubeconfig: Path
) -> None:
    """Rules and resolvers of a laptop, and what the engine holds, are as before, too."""
    new = ("-n", "t-killed", "--expose", "8080")
    with ExitStack() as stack:
        first, second, third = (stack.enter_context(made_namespace()) for _ in range(3))
        laptop = stack.enter_context(lent(tmp_path, "-killed"))
        contained = ("--docker-run", "--rm", engine_rig.BASE, "sleep", "0.2")
        all_series = [
            Series(tmp_path / "new", first, ("-m", "inject-tcp", *new)),
            Series(tmp_path / "vpn", second, ("-m", "vpn-tcp", *swapped(second)), on=laptop.on,
                   beyond=lambda: (laptop.rules(), laptop.processes())),
            Series(tmp_path / "container", third, new, contained, beyond=engine_rig.held),
        ]  # fmt: skip
        assert not failures([(one, some(one.steps())) for one in all_series])


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
