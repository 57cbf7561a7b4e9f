"""A person at a terminal: job control, sizes, and a window that is closed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from terminals import Screen, terminal

from rig import Telepresence, objects
from workloads import apply, state, until, until_ready, until_state, workload

CTRL_C, CTRL_D, CTRL_Z = "\x03", "\x04", "\x1a"
OUTER = "outer> "


@contextmanager
def outer_shell(telepresence: Telepresence) -> Iterator[Screen]:
    """The shell that the command is typed into."""
    own = {"PS1": OUTER, "SHELL": "/bin/bash", "HOME": str(telepresence.directory), "TERM": "xterm"}
    words = ["bash", "--norc", "-i"]
    (telepresence.directory / ".bashrc").write_text("PS1='inner> '\n")
    with terminal(words, telepresence.environ(own), telepresence.directory) as screen:
        screen.wait(OUTER)
        yield screen
        screen.type(CTRL_C + "\nexit\n")


def start(telepresence: Telepresence, screen: Screen, *words: str) -> None:
    screen.type(" ".join(telepresence.argv("-m", "inject-tcp", *words)) + "\n")
    telepresence.wait_log("stage: process started")


def test_a_command_is_stopped_and_goes_on_as_any_job(telepresence: Telepresence) -> None:
    with outer_shell(telepresence) as screen:
        start(telepresence, screen, "--run", "sh", "-c", "'echo here; cat; exit 4'")
        screen.wait("here\r\n")
        screen.type("one\n")
        screen.wait("one\r\none\r\n")
        screen.type(CTRL_Z)
        screen.wait("Stopped")
        screen.wait(OUTER)
        screen.type("fg\n")
        screen.wait("--run")
        screen.type("two\n")
        screen.wait("two\r\ntwo\r\n")
        screen.type(CTRL_D)
        screen.wait(OUTER)
        screen.type("echo code=$?\n")
        screen.wait("code=4\r\n")
        assert not objects("pods", "-l", f"telepresence={session(telepresence)}")


def session(telepresence: Telepresence) -> str:
    found = re.search(r"created pod telepresence-(\w+)", telepresence.log.read_text())
    assert found is not None
    return found[1]


def test_a_shell_has_its_own_jobs_and_sizes(telepresence: Telepresence) -> None:
    with outer_shell(telepresence) as screen:
        start(telepresence, screen, "--run-shell")
        screen.wait(r"@[^|]+\|inner> ")
        screen.type("sh -c 'echo u''p; exec sleep 100'\n")
        screen.wait(r"[\r\n]up\r\n")
        screen.type(CTRL_Z)
        screen.wait("Stopped")
        screen.wait("inner> ")
        shell = screen.foreground()
        screen.type("fg\n")
        screen.wait("sleep 100'\r\n")
        until(lambda: screen.foreground() != shell)  # bash says it before it does it
        screen.type(CTRL_C)
        screen.wait("inner> ")
        screen.type("echo code=$?; trap 'echo size $(stty size)' WINCH\n")
        screen.wait("code=130\r\n")
        screen.wait("inner> ")
        screen.resize(40, 123)
        screen.type("\n")
        screen.wait("size 40 123\r\n")
        screen.type("exit 5\n")
        screen.wait(OUTER)
        screen.type("echo code=$?\n")
        screen.wait("code=5\r\n")


@pytest.mark.parametrize("engine", ["preload", "seccomp"])
def test_a_shell_that_suspends_itself_comes_back(telepresence: Telepresence, engine: str) -> None:
    """Through the supervisor as well, which stands between the two shells."""
    with outer_shell(telepresence) as screen:
        start(telepresence, screen, "--inject", engine, "--run-shell")
        screen.wait(r"@[^|]+\|inner> ")
        for number in range(2):
            screen.type("suspend\n")
            screen.wait("Stopped")
            screen.wait(OUTER)
            screen.type("fg\n")
            screen.wait("--run-shell")
            screen.type(f"echo back=$(({number} + 5)) $(curl -s helloworld.default)\n")
            screen.wait(f"back={number + 5} Hello, world!")
            screen.wait("inner> ")
        screen.type("exit 5\n")
        screen.wait(OUTER)
        screen.type("echo code=$?\n")
        screen.wait("code=5\r\n")


def test_a_closed_window_leaves_nothing(telepresence: Telepresence, namespace: str) -> None:
    apply(namespace, workload("web", replicas=1))
    until_ready(namespace, "deployment/web")
    before = state(namespace)
    words = ("-m", "inject-tcp", "--namespace", namespace, "-s", "web", "--run-shell")
    with terminal(telepresence.argv(*words), telepresence.environ({"TERM": "xterm"}),
                  telepresence.directory):  # fmt: skip
        telepresence.wait_log("stage: process started")
        assert state(namespace) != before
    until(lambda: not telepresence.journals(), 20.0)
    until_state(namespace, before)
