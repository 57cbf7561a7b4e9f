"""The agent's own SOCKS server in the pod, behind a bare `kubectl port-forward`."""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig import Telepresence
from telepresence.method.inject import SHIM

DEADLINE_S = 60
NAME = "t-agents-socks"
HELLO = "Hello, world! I am helloworld-"
URL = "http://helloworld.default.svc.cluster.local"
PEER = "import socket; s = socket.create_connection(('helloworld', 80)); print(s.getpeername()[1])"


@pytest.fixture
def settings(telepresence: Telepresence) -> Iterator[Path]:
    """torsocks.conf for a port of this machine that leads to port 9050 of a session's pod."""
    with contextlib.ExitStack() as stack:
        words = ("--new-deployment", NAME, "--run", "sh", "-c", "echo up; exec sleep 600")
        session = stack.enter_context(telepresence.running(*words))
        assert session.stdout is not None
        assert session.stdout.readline() == "up\n"
        found = re.search(r"created pod (\S+)", telepresence.log.read_text())
        assert found is not None
        forward = stack.enter_context(
            subprocess.Popen(
                ["kubectl", "port-forward", f"pod/{found[1]}", ":9050"],
                stdout=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
        stack.callback(forward.terminate)
        assert forward.stdout is not None
        port = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
        assert port is not None
        conf = telepresence.directory / "torsocks.conf"
        conf.write_text(f"TorAddress 127.0.0.1\nTorPort {port[1]}\n")
        yield conf


def said(conf: Path, *words: str, **more: str) -> str:
    environ = os.environ | {"TORSOCKS_CONF_FILE": str(conf)} | more
    done = subprocess.run(
        words, env=environ, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    return done.stdout + done.stderr


def test_debians_torsocks_and_the_library_work_with_it(settings: Path) -> None:
    """The library's settings name no server of ours, so the handshake is made step by step."""
    fetch = ("curl", "-s", "--max-time", "30", URL)
    assert said(settings, "torsocks", *fetch).startswith(HELLO)
    assert said(settings, *fetch, LD_PRELOAD=str(SHIM)).startswith(HELLO)
    assert said(settings, "python3", "-c", PEER, LD_PRELOAD=str(SHIM)) == "80\n"
