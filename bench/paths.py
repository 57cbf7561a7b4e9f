"""The ways to a server in the cluster that are compared: each a context manager with a Loader.

Called by: the questions of this folder.
Owns: the processes of each path, until its end.
Never: measures; load.py does.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TELEPRESENCE = HERE.parent / ".venv" / "bin" / "telepresence"
PYTHON = sys.executable
ECHO, SINK, SOURCE = 7007, 7009, 7019
SSHD = 7022
START_S = 60.0


class Loader:
    """A running load.py, and where it finds the server's ports."""

    def __init__(self, command: Sequence[str | Path], host: str, ports: dict[int, int]) -> None:
        self.began = time.time()
        self.process = subprocess.Popen(
            [*map(str, command), PYTHON, str(HERE / "load.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.host, self._ports = host, ports
        self.ready_s = self._answer()["ready"] - self.began

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the load generator ended with code {self.process.wait()}")
        return json.loads(line)

    def ask(self, do: str, port: int, **more: int | str) -> Any:
        assert self.process.stdin is not None
        order = {"do": do, "host": self.host, "port": self._ports.get(port, port), **more}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def end(self) -> float:
        """Seconds from the end of its input to the end of the whole command."""
        assert self.process.stdin is not None
        began = time.time()
        self.process.stdin.close()
        self.process.wait(START_S)
        return time.time() - began


@contextlib.contextmanager
def direct(host: str, ports: dict[int, int]) -> Iterator[Loader]:
    loader = Loader([], host, ports)
    try:
        yield loader
    finally:
        loader.end()


@contextlib.contextmanager
def port_forward(target: str, *ports: int) -> Iterator[dict[int, int]]:
    """`kubectl port-forward`; yields pod port -> laptop port."""
    command = ["kubectl", "port-forward", target, *(f":{port}" for port in ports)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found: dict[int, int] = {}
        while len(found) < len(ports):
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"{' '.join(command)} ended with code {process.wait()}")
            if match := re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)", line):
                found[int(match[2])] = int(match[1])
        yield found
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def bare_port_forward() -> Iterator[Loader]:
    with (
        port_forward("deployment/bench", ECHO, SINK, SOURCE) as ports,
        direct("127.0.0.1", ports) as loader,
    ):
        yield loader


@contextlib.contextmanager
def inject_tcp(*options: str) -> Iterator[Loader]:
    """A whole telepresence session whose command is the load generator."""
    loader = Loader([TELEPRESENCE, "--method", "inject-tcp", *options, "--run"], "bench", {})
    try:
        yield loader
    finally:
        loader.end()


@contextlib.contextmanager
def ssh_forward() -> Iterator[Loader]:
    """`ssh -L` over a port-forward to an sshd in the pod, as Telepresence 1 moved its bytes."""
    key = Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp")) / f"bench-ssh-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        ports = stack.enter_context(port_forward("deployment/bench", SSHD))
        free = {port: 17_000 + port for port in (ECHO, SINK, SOURCE)}
        forwards = [w for p, f in free.items() for w in ("-L", f"127.0.0.1:{f}:127.0.0.1:{p}")]
        process = subprocess.Popen(
            [
                "ssh", "-N", "-F", "/dev/null", "-p", str(ports[SSHD]),
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "-o", "LogLevel=ERROR", "-o", "ExitOnForwardFailure=yes",
                *forwards, "root@127.0.0.1",
            ]
        )  # fmt: skip
        stack.callback(process.wait)
        stack.callback(process.terminate)
        stack.callback(key.unlink, missing_ok=True)
        deadline = time.monotonic() + START_S
        while subprocess.run(["nc", "-z", "127.0.0.1", str(free[ECHO])], check=False).returncode:
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit("ssh -L did not come up")
            time.sleep(0.1)
        yield stack.enter_context(direct("127.0.0.1", free))
