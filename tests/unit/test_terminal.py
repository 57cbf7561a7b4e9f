"""The terminal after the user's process, on a real one."""

import os
import pty
import subprocess
import sys

import pytest

# Takes the terminal as a shell does, makes it raw, and is killed.
SPOILER = """
import os, signal, tty
os.setpgid(0, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
os.tcsetpgrp(0, os.getpgrp())
tty.setraw(0)
os.kill(os.getpid(), signal.SIGKILL)
"""
SCENE = """
import os, subprocess, sys, termios
from telepresence.terminal import Terminal
terminal = Terminal()
subprocess.run([sys.executable, "-c", sys.argv[1]])
terminal.restore(settings_too=sys.argv[2] == "yes")
print(os.tcgetpgrp(0) == os.getpgrp(), bool(termios.tcgetattr(0)[3] & termios.ECHO), flush=True)
"""


def scene(*words: str) -> str:
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", SCENE, *words], stdin=theirs, stdout=subprocess.PIPE, text=True,
            start_new_session=True, preexec_fn=lambda: __import__("fcntl").ioctl(0, 0x540E, 0),
        )  # fmt: skip
        os.close(theirs)
        said, _ = process.communicate(timeout=20)
        assert process.returncode == 0
    finally:
        os.close(ours)
    return said.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="TIOCSCTTY has Linux's number here")
@pytest.mark.parametrize(
    ("killed", "after"), [("yes", "True True"), ("no", "True False")], ids=["killed", "ended"]
)
def test_a_killed_shells_terminal_is_ours_again(killed: str, after: str) -> None:
    """What a process that ended by itself has set, as stty does, stays."""
    assert scene(SPOILER, killed) == after


def test_without_a_terminal_there_is_nothing_to_do() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCENE.replace("print(", "0 and print("), "pass", "yes"],
        stdin=subprocess.DEVNULL,
    ) as process:
        assert process.wait(20) == 0
