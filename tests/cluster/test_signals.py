"""Ctrl-C, SIGTERM and SIGHUP at any moment undo everything."""

import os
import pty
import signal
import subprocess
import time

import pytest

from rig import Telepresence

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
CODES = {signal.SIGINT: 130, signal.SIGTERM: 0, signal.SIGHUP: 0}


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    "moment",
    ["kubeconfig read", "cluster asked", "pod created", "pod ready", "tunnel up", "started"],
)
def test_a_signal_while_setting_up_or_running(
    telepresence: Telepresence, number: signal.Signals, moment: str
) -> None:
    with telepresence.running("-m", "inject-tcp", "--run", "sleep", "60") as process:
        telepresence.wait_log(moment)
        process.send_signal(number)
        began = time.monotonic()
        assert process.wait(30) == CODES[number]
        assert time.monotonic() - began < 5
        assert process.stderr is not None
        assert process.stderr.read().splitlines() == [
            f"T: ended by {number.name}; everything is undone"
        ]


def test_repeated_signals_do_not_skip_the_undo(telepresence: Telepresence) -> None:
    with telepresence.running("-m", "inject-tcp", "--run", "sleep", "60") as process:
        telepresence.wait_log("started")
        for _ in range(50):
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGINT)
            time.sleep(0.002)
        assert process.wait(30) == 130


def test_a_child_that_ignores_sigterm_is_killed(telepresence: Telepresence) -> None:
    program = "trap '' TERM; echo ready; while :; do sleep 1; done"
    with telepresence.running("-m", "inject-tcp", "--run", "bash", "-c", program) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_ctrl_c_at_a_terminal_is_the_childs_to_judge(telepresence: Telepresence) -> None:
    """As under a shell: the program catches it and the session goes on."""
    program = "trap 'echo caught' INT; echo ready; read line; read line; exit 9"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        telepresence.argv("-m", "inject-tcp", "--run", "bash", "-c", program),
        cwd=telepresence.directory, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True, preexec_fn=lambda: __import__("fcntl").ioctl(0, 0x540E, 0),
    )  # fmt: skip
    os.close(theirs)
    said = b""

    def wait_for(word: bytes) -> None:
        nonlocal said
        deadline = time.monotonic() + 30
        while word not in said:
            assert time.monotonic() < deadline, said
            said += os.read(ours, 4096)

    wait_for(b"ready")
    os.write(ours, b"\x03")
    wait_for(b"caught")
    os.write(ours, b"\n\n")
    assert process.wait(30) == 9
    os.close(ours)
