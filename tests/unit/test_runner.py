"""The user's process: how it is started, how it ended, and that it does not outlive us."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from telepresence import runner
from telepresence.errors import TelepresenceError
from telepresence.runner import Child
from telepresence.values import ExitStatus, Launch

DEADLINE_S = 10.0
# Of this run alone: every process on the machine that has this mark is ended.
SESSION = uuid.uuid4().hex
SECONDS = f"61.{os.getpid():07}"  # of this run alone, too


@pytest.fixture(autouse=True, params=["descriptor", "thread"])
def both_ways_to_notice_the_end(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS has no pidfd_open(2)."""
    if request.param == "thread":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    elif not hasattr(os, "pidfd_open"):
        pytest.skip("this system has no pidfd_open(2)")


def shell(script: str, **environ: str) -> Launch:
    variables = {
        b"PATH": os.environb[b"PATH"],
        **{k.encode(): v.encode() for k, v in environ.items()},
    }
    return Launch(program="/bin/sh", argv=("sh", "-c", script), environ=variables)


def run(launch: Launch) -> ExitStatus:
    async def scene() -> ExitStatus:
        async with asyncio.timeout(DEADLINE_S), Child(launch, SESSION) as child:
            return await child.wait()

    return asyncio.run(scene())


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("true", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("kill -TERM $$", 128 + 15),
        ("kill -KILL $$", 128 + 9),
        ("exec does-not-exist 2>/dev/null", 127),
    ],
)
def test_the_exit_code_is_the_processes_or_128_and_its_signal(script: str, code: int) -> None:
    assert run(shell(script)) == ExitStatus(code=code)


def test_it_gets_its_own_name_words_and_environment_alone(tmp_path: Path) -> None:
    said = tmp_path / "said"
    script = 'printf "%s|" "$0" "$@" "$A" "$HOME" > "$SAID"'
    launch = Launch(
        program="/bin/sh",
        argv=("sh", "-c", script, "me", "a  b", ""),
        environ={b"A": b"\xff\n", b"SAID": os.fsencode(said)},
    )
    assert run(launch).code == 0
    assert said.read_bytes() == b"me|a  b||\xff\n||"


def test_a_program_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    program = tmp_path / "not-executable"
    program.write_text("")
    with pytest.raises(TelepresenceError, match=r"not-executable: Permission denied") as caught:
        run(Launch(program=str(program), argv=("x",), environ={}))
    assert caught.value.exit_code == 255


async def _ready(place: Path) -> int:
    """Wait until somebody writes their process id to a FIFO."""
    return int(await asyncio.to_thread(place.read_text))


def _ended_by_leaving(script: str, tmp_path: Path) -> ExitStatus:
    """Leave the context as soon as the script is `ready`."""
    door = tmp_path / "door"
    os.mkfifo(door)

    async def scene() -> ExitStatus:
        async with asyncio.timeout(DEADLINE_S):
            async with Child(shell(script, DOOR=str(door)), SESSION) as child:
                pid = await _ready(door)
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
            return await child.wait()

    return asyncio.run(scene())


def test_leaving_ends_a_process_that_runs(tmp_path: Path) -> None:
    script = "echo $$ > $DOOR; exec sleep 60"
    assert _ended_by_leaving(script, tmp_path) == ExitStatus(code=128 + 15)


def test_a_process_may_answer_sigterm_with_a_code_of_its_own(tmp_path: Path) -> None:
    script = "trap 'kill $!; exit 3' TERM; sleep 60 & echo $$ > $DOOR; wait"
    assert _ended_by_leaving(script, tmp_path) == ExitStatus(code=3)


def test_a_process_that_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "GRACE_S", 0.2)
    script = "trap '' TERM; echo $$ > $DOOR; exec sleep 60"
    assert _ended_by_leaving(script, tmp_path) == ExitStatus(code=128 + 9)


def test_waiting_may_be_given_up_and_begun_again() -> None:
    async def scene() -> ExitStatus:
        async with (
            asyncio.timeout(DEADLINE_S),
            Child(shell("exec cat > /dev/null"), SESSION) as child,
        ):
            waiting = asyncio.ensure_future(child.wait())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            return await child.wait()

    # Its standard input is ours: an end of file.
    saved = os.dup(0)
    nothing = os.open("/dev/null", os.O_RDONLY)
    try:
        os.dup2(nothing, 0)
        assert asyncio.run(scene()) == ExitStatus(code=0)
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(nothing)


def test_without_a_terminal_signals_are_not_its_own(tmp_path: Path) -> None:
    script = "from telepresence.runner import terminal_sends_signals as t; print(t())"
    assert shutil.which("setsid")

    async def scene() -> bytes:
        process = await asyncio.create_subprocess_exec(
            "setsid", "-w", sys.executable, "-c", script,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, _ = await process.communicate()
        return said

    assert asyncio.run(scene()) == b"False\n"


@pytest.mark.skipif(not runner.REAPER.exists(), reason="this system has no reaper")
@pytest.mark.parametrize(
    "left",
    [
        "sleep SECONDS & true",
        "env -i setsid -f sleep SECONDS",
        "env -i setsid -f sh -c 'setsid -f sleep SECONDS; sleep SECONDS'",
        "env -i setsid -f sh -c 'trap \"\" TERM; sleep SECONDS & wait'",
    ],
)
def test_whatever_it_leaves_is_ended_however_it_hides(
    left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "GRACE_S", 0.3)
    assert run(shell(f"{left.replace('SECONDS', SECONDS)}; exit 7")) == ExitStatus(code=7)
    assert not _sleeping()


def _sleeping() -> list[Path]:
    return [place for place in Path("/proc").glob("[0-9]*") if _is_ours(place)]


def _is_ours(process: Path) -> bool:
    try:
        return (process / "cmdline").read_bytes() == f"sleep\0{SECONDS}\0".encode()
    except OSError:
        return False


@pytest.mark.skipif(not runner.REAPER.exists(), reason="this system has no reaper")
def test_it_does_not_outlive_us_when_we_are_killed(tmp_path: Path) -> None:
    """Though no guard knows of it: its environment is not ours."""
    place = tmp_path / "pid"
    script = f"""
import asyncio, os
from telepresence.runner import Child
from telepresence.values import Launch
async def scene():
    words = "env -i setsid -f sleep {SECONDS}; echo $$ > {place}; exec sleep {SECONDS}"
    launch = Launch(program="/bin/sh", argv=("sh", "-c", words), environ=dict(os.environb))
    async with Child(launch, "{SESSION}") as child:
        await child.wait()
asyncio.run(scene())
"""
    with subprocess.Popen([sys.executable, "-c", script]) as process:
        deadline = time.monotonic() + DEADLINE_S
        while not place.exists() or not place.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    while _sleeping():
        assert time.monotonic() < deadline
        time.sleep(0.01)
