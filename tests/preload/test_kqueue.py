"""How the shim for macOS waits: kevent(2), here on a kqueue that is made of epoll(7).

The pod answers for HELD only once somebody has connected to FREE."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shim_rig import ECHO, FREE, HELD, REFUSED, ROOT, MakePod, Rig, build
from test_overlap import ASYNCIO, EXPECTED

LEVEL, ONESHOT, CLEAR, DISPATCH = "0", "0x10", "0x20", "0x80"
FLAGS = [LEVEL, ONESHOT, CLEAR, DISPATCH]
READY = "write mark 1 connect: ok\n"
ECHOED = "read mark 1 connect: ok\necho 0123456789\n"
RUN = "loop = asyncio.SelectorEventLoop(__import__('selectors').KqueueSelector())"
ROUNDS = 9
SLOW = """
from shim import SLOW_S, slow_server
with slow_server() as port:
    print(port, SLOW_S * 1e3, flush=True)
    input()
"""


@pytest.fixture
def slow_server() -> Iterator[tuple[int, float]]:
    """The bench's, in a process of its own: its port, and what it takes for an answer, in ms."""
    argv = [sys.executable, "-c", SLOW]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(argv, cwd=ROOT / "bench", text=True, **pipes) as running:  # type: ignore[call-overload]
        port, slow_ms = running.stdout.readline().split()
        yield int(port), float(slow_ms)
        running.communicate("\n", timeout=10)


@pytest.fixture(scope="module", params=["plain", "sanitized"])
def built(request: pytest.FixtureRequest) -> Path:
    flags = ["-DSANITIZE=ON"] if request.param == "sanitized" else []
    return build(request.param, *flags, target="kqueue-programs")


@pytest.fixture
def on_kqueue(built: Path, tmp_path: Path) -> Rig:
    library = "preload/libshim-on-kqueue.so"
    sanitized = built.name == "sanitized"
    return Rig(built, tmp_path / "preload.conf", sanitized=sanitized, library=library)


def queue(rig: Rig, settings: str | None, *words: str) -> str:
    done = rig.run(["queue", *words], settings)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("call", ["plain", "wide"])
@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("how", ["once", "early", "told"])
def test_every_filter_tells_of_the_pods_answer(
    on_kqueue: Rig, make_pod: MakePod, call: str, flags: str, how: str
) -> None:
    said = queue(on_kqueue, make_pod().settings(), call, flags, how, ECHO[0], "80")
    assert said == ("receipt 1 1 0\n" if how == "told" else "") + READY + ECHOED


@pytest.mark.parametrize("call", ["plain", "wide"])
@pytest.mark.parametrize("flags", FLAGS)
def test_a_failure_is_told_as_the_pod_has_it(
    on_kqueue: Rig, make_pod: MakePod, call: str, flags: str
) -> None:
    said = queue(on_kqueue, make_pod().settings(), call, flags, "once", REFUSED[0], "80")
    assert said == "write mark 1 connect: ECONNREFUSED end: ECONNREFUSED\n"


@pytest.mark.parametrize("call", ["plain", "wide"])
@pytest.mark.parametrize("flags", FLAGS)
def test_a_filter_that_is_removed_while_it_is_held_says_nothing(
    on_kqueue: Rig, make_pod: MakePod, call: str, flags: str
) -> None:
    pod = make_pod(held={HELD}, release_on=FREE)
    said = queue(on_kqueue, pod.settings(), call, flags, "dropped", HELD[0], "80", FREE[0], "80")
    expected = f"nothing\n{READY}second: 1\nnothing\n{READY}held: 1\n{ECHOED}"
    assert said == expected


@pytest.mark.parametrize("call", ["plain", "wide"])
def test_a_hundred_connects_of_one_loop_overlap(
    on_kqueue: Rig, make_pod: MakePod, call: str
) -> None:
    pod = make_pod(held={HELD}, release_on=FREE)
    said = queue(on_kqueue, pod.settings(), call, LEVEL, "both", HELD[0], "80", FREE[0], "80")
    assert said == "nothing\nthere: 101\n"


@pytest.mark.parametrize("built", ["plain"], indirect=True)  # not the sanitizers' own time
def test_they_take_no_more_than_two_round_trips(
    on_kqueue: Rig, slow_server: tuple[int, float]
) -> None:
    port, slow_ms = slow_server
    settings = f"TorPort {port}\nTelepresencePipeline 1\n"
    words = ("plain", LEVEL, "many", "198.18.0.1", "80")
    took_ms = [float(queue(on_kqueue, settings, *words)) for _ in range(ROUNDS)]
    assert slow_ms <= min(took_ms) <= 2 * slow_ms  # one after another they would take a hundred


def test_asyncio_goes_on(on_kqueue: Rig, make_pod: MakePod, tmp_path: Path) -> None:
    """With the selector that Python has on macOS."""
    script = tmp_path / "script.py"
    script.write_text(f"{ASYNCIO}\n{RUN}\nloop.run_until_complete(main())\nloop.close()\n")
    settings = make_pod(held={HELD}, release_on=FREE).settings()
    library = on_kqueue.build / "preload" / "libkqueue.so"
    preload = f"{on_kqueue.environ(settings)['LD_PRELOAD']} {library}"
    module = ROOT / "tests" / "preload" / "programs" / "kqueue_module.py"
    env = {"LD_PRELOAD": preload, "ASAN_OPTIONS": "detect_leaks=0:exitcode=77"}
    done = on_kqueue.run([sys.executable, str(module), str(script)], settings, env=env)
    assert (done.stdout, done.returncode) == (EXPECTED, 0)
