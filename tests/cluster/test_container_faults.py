"""What is killed, restarted or interrupted under a session leaves nothing behind."""

import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from engine_rig import BASE, RUN, SANDBOX, docker, proxies
from rig import DEADLINE_S, Telepresence
from workloads import until

pytestmark = pytest.mark.usefixtures("engine_left_as_it_was")

DOCKERD = Path("/run/telepresence-sandbox/dockerd.pid")
SLEEP = ("sh", "-c", "echo up; exec sleep 600")


def wait_up(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"


def test_the_proxy_container_is_killed(telepresence: Telepresence) -> None:
    with telepresence.running(*RUN, BASE, *SLEEP) as process:
        wait_up(process)
        docker("kill", *proxies())
        began = time.monotonic()
        _, said = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 255
        assert "the proxy container ended" in said
        assert time.monotonic() - began < 10


def test_the_users_container_is_removed_by_somebody_else(telepresence: Telepresence) -> None:
    with telepresence.running(*RUN, "--name", "t-removed", BASE, *SLEEP) as process:
        wait_up(process)
        docker("rm", "--force", "t-removed")
        assert process.wait(DEADLINE_S) == 137  # as docker run says it


def test_the_engine_is_restarted(telepresence: Telepresence) -> None:
    before = docker("ps", "-aq")
    with telepresence.running(*RUN, BASE, *SLEEP) as process:
        wait_up(process)
        number = int(DOCKERD.read_text())
        ending = os.pidfd_open(number)
        os.kill(number, signal.SIGTERM)
        assert process.wait(DEADLINE_S) != 0
        readable, _, _ = select.select([ending], [], [], DEADLINE_S)
        assert readable
        os.close(ending)
    subprocess.run([SANDBOX, "docker", "up"], check=True, capture_output=True, timeout=120)
    until(lambda: docker("ps", "-aq") == before, 20)
    until(lambda: not telepresence.journals(), 20)


def test_a_container_that_ignores_signals_ends_with_its_grace_time(
    telepresence: Telepresence,
) -> None:
    script = "trap '' INT TERM; echo up; while :; do sleep 1; done"
    words = (*RUN, "--stop-timeout", "3", BASE, "bash", "-c", script)
    with telepresence.running(*words) as process:
        wait_up(process)
        began = time.monotonic()
        process.terminate()
        process.wait(DEADLINE_S)
        assert 2.5 < time.monotonic() - began < 10


def test_ctrl_c_at_a_terminal_is_the_containers(telepresence: Telepresence) -> None:
    """The terminal is in raw mode then: the byte goes to the container's own terminal."""
    parent, child = pty.openpty()
    words = telepresence.argv("--docker-run", "-it", BASE, *SLEEP)
    process = subprocess.Popen(words, cwd=telepresence.directory, stdin=child, stdout=child,
                               stderr=child, start_new_session=True,
                               env=telepresence.environ(None))  # fmt: skip
    os.close(child)
    try:
        said = b""
        while b"up\r\n" not in said:
            said += os.read(parent, 4096)
        began = time.monotonic()
        os.write(parent, b"\x03")
        assert process.wait(DEADLINE_S) == 130
        assert time.monotonic() - began < 8
    finally:
        os.close(parent)
        process.kill()
        process.wait()


def test_killed_with_a_service_of_compose(telepresence: Telepresence, tmp_path: Path) -> None:
    before = docker("ps", "-aq")
    text = f'services: {{web: {{image: "{BASE}", command: ["sh", "-c", "echo up; sleep 600"]}}}}\n'
    (tmp_path / "compose.yaml").write_text(text)
    words = ("--compose-service", "web", "--docker-compose", "-f", str(tmp_path / "compose.yaml"))
    with telepresence.running(*words) as process:
        wait_up(process)
        process.kill()
        process.wait()
        until(lambda: docker("ps", "-aq") == before, 20)
        until(lambda: not telepresence.journals(), 20)
