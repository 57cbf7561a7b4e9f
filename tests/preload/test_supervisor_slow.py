"""Connects that must not be waited for, to a pod that takes its time."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fake_pod import CONNECT, FakePod
from shim_rig import ECHO, ECHO6, HELD, REFUSED, UNREACHABLE, WEB, MakePod
from supervisor_rig import Done, Supervisor
from test_talk import WAYS

DEADLINE_S = 10.0
# "asking" does not wait before it asks: the kernel says too early that there is no error, too.
WAITING = [how for how in WAYS if how not in ("blocking", "restart", "asking")]


@pytest.fixture
def talk(supervisor: Supervisor, closed: Path) -> Callable[..., Done]:
    """To a target whose answer comes once it has been asked for the second time: the program has
    got EINPROGRESS by then."""

    def run(how: str, target: tuple[str, int], pod: FakePod) -> Done:
        def release() -> None:
            deadline = time.monotonic() + DEADLINE_S
            while pod.seen.count((CONNECT, *target)) < 2 and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(0.05)
            pod.release()

        thread = threading.Thread(target=release)
        thread.start()
        done = supervisor.run([str(closed / "talk"), how, target[0], "80"], pod.settings())
        thread.join(DEADLINE_S)
        assert pod.seen.count((CONNECT, *target)) == 2
        return done

    return run


@pytest.mark.parametrize("how", WAITING)
def test_a_slow_target_is_connected_when_it_has_answered(
    talk: Callable[..., Done], make_pod: MakePod, how: str
) -> None:
    done = talk(how, HELD, make_pod(held={HELD}))
    said = f"connect: ok\npeer {HELD[0]} 80 length 16\necho 012345678901234567890123456789\n"
    assert (done.out, done.code) == (WAYS[how] + said, 0)


@pytest.mark.parametrize("how", WAITING)
@pytest.mark.parametrize(("reply", "error"), [(5, "ECONNREFUSED"), (4, "EHOSTUNREACH")])
def test_a_slow_failure_has_the_errno_of_the_target(
    talk: Callable[..., Done], make_pod: MakePod, how: str, reply: int, error: str
) -> None:
    pod = make_pod(held={HELD})
    pod.network[HELD] = reply
    done = talk(how, HELD, pod)
    assert (done.out, done.code) == (WAYS[how] + f"connect: {error}\npeer: ENOTCONN\n", 0)


def test_a_slow_target_of_ipv6(talk: Callable[..., Done], make_pod: MakePod) -> None:
    done = talk("poll", ECHO6, make_pod(held={ECHO6}))
    assert "poll 1 writable 1\nconnect: ok\npeer 2001:db8::7 80 length 28\necho 0123" in done.out


def test_time_outs_of_the_program_hold(supervisor: Supervisor, make_pod: MakePod) -> None:
    pod = make_pod(held={HELD})
    program = f"""
import socket, time
sock = socket.socket(); sock.settimeout(0.3)
began = time.monotonic()
try: sock.connect(("{HELD[0]}", 80))
except TimeoutError: print("timed out", time.monotonic() - began < 2)
"""
    done = supervisor.run(["/usr/bin/python3", "-c", program], pod.settings())
    assert done.out == "timed out True\n"


def test_parallel_connects_of_one_thread_overlap(supervisor: Supervisor, make_pod: MakePod) -> None:
    """The first one is waited for a little; the others go their way at once."""
    pod = make_pod(held={HELD})
    program = f"""
import asyncio
async def one():
    reader, writer = await asyncio.open_connection("{HELD[0]}", 80)
    writer.write(b"x" * 100_000); writer.write_eof()
    data = await reader.read()
    writer.close()
    return len(data)
async def main():
    print(sum(await asyncio.gather(*(one() for _ in range(50)))))
asyncio.run(main())
"""

    def release() -> None:
        deadline = time.monotonic() + DEADLINE_S
        while pod.seen.count((CONNECT, *HELD)) < 50 and time.monotonic() < deadline:
            time.sleep(0.005)
        pod.release()

    thread = threading.Thread(target=release)
    thread.start()
    done = supervisor.run(["/usr/bin/python3", "-c", program], pod.settings())
    thread.join(DEADLINE_S)
    assert done.out == "5000000\n"


def test_a_connect_that_a_signal_restarts_is_made_once(
    supervisor: Supervisor, closed: Path, make_pod: MakePod
) -> None:
    """Its first call is gone when the pod answers: the one that the kernel made of it hears."""
    pod = make_pod(held={HELD})
    timer = threading.Timer(0.3, pod.release)
    timer.start()
    done = supervisor.run([str(closed / "talk"), "restart", HELD[0], "80"], pod.settings())
    timer.join()
    assert done.out.startswith(f"connect: ok\npeer {HELD[0]} 80 length 16\necho 0123")
    assert pod.seen == [(CONNECT, *HELD)]


def test_impatience_and_sudden_deaths_do_it_no_harm(
    supervisor: Supervisor, closed: Path, make_pod: MakePod
) -> None:
    pod = make_pod(held={HELD})
    targets = [f"{host}:{port}" for host, port in (WEB, HELD, REFUSED, ECHO, UNREACHABLE)]
    timer = threading.Timer(1.0, pod.release)
    timer.start()
    done = supervisor.run([str(closed / "closed-go"), "chaos", *targets], pod.settings())
    timer.join()
    assert (done.out, done.code) == ("survived\n", 0)
