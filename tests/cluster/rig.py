"""What the tests of this folder ask of the cluster and of the command.

Called by: every test of this folder.
Owns: the processes that it starts, each until its context ends.
Never: talks to a cluster that it was not given: KUBECONFIG names it.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEADLINE_S = 90.0
TASKS = ("status", "restore", "rbac", "doctor", "--version")
COMMAND = Path(sys.executable).with_name("telepresence")


def kubectl(*words: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        ["kubectl", *words], input=stdin, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(kind: str, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(kubectl("get", kind, "-o", "json", *words))["items"]
    return found


@dataclass
class Done:
    code: int
    out: str
    err: str
    seconds: float

    @property
    def said(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("T: ")]


class Telepresence:
    """The command, with its log in a directory of the test's own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "telepresence.log"

    def environ(self, more: dict[str, str] | None) -> dict[str, str]:
        """With the journals where no other test, nor this machine's user, repairs them."""
        return {**os.environ, "XDG_STATE_HOME": str(self.directory), **(more or {})}

    def journals(self) -> list[Path]:
        """Of the sessions that this one has started."""
        return sorted((self.directory / "telepresence").glob("*.journal"))

    def argv(self, *words: str) -> list[str]:
        """By inject-tcp, unless they choose: the machine's own network is not to be changed."""
        ours = words[: words.index("--run")] if "--run" in words else words
        chosen = {"-m", "--method", "--docker-run", "--docker-compose", *TASKS} & {*ours}
        return [str(COMMAND), *(() if chosen else ("--method", "inject-tcp")), *words]

    def __call__(self, *words: str, env: dict[str, str] | None = None, stdin: str = "") -> Done:
        began = time.monotonic()
        done = subprocess.run(
            self.argv(*words), cwd=self.directory, env=self.environ(env),
            input=stdin, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    @contextlib.contextmanager
    def running(
        self, *words: str, env: dict[str, str] | None = None
    ) -> Iterator["subprocess.Popen[str]"]:
        process = subprocess.Popen(
            self.argv(*words), cwd=self.directory, text=True, env=self.environ(env),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=DEADLINE_S)

    def wait_log(self, text: str) -> str:
        """The log, once it says that."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            said = self.log.read_text() if self.log.exists() else ""
            if text in said:
                return said
            assert time.monotonic() < deadline, said
            time.sleep(0.01)
