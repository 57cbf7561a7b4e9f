"""Enter a laptop, as the user who asked for it.

Called by: cli.  Owns: nothing; the process becomes the user's command.
Never: returns once the command has begun."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sys
import tempfile
from pathlib import Path

import cli
import laptop as laptops
import machine
import places
import processes
from machine import SandboxError

ENVIRON = "--environ="  # passed by ourselves through sudo, which clears the environment


def laptop(words: list[str]) -> int:
    """`NAME`, `NAME -- CMD…` or `NAME --delete`."""
    environ_file = None
    if words[0].startswith(ENVIRON):
        environ_file, words = words[0].removeprefix(ENVIRON), words[1:]
    name, rest = words[0], words[1:]
    if rest and rest != ["--delete"] and rest[0] != "--":
        raise SandboxError(f"put -- before the command: sandbox/sandbox laptop {name} -- {rest[0]}")
    if os.geteuid() != 0:
        machine.check_sudo()
        environ_file = _write_environ()
        machine.become_root(["laptop", ENVIRON + environ_file, *words])
    environment = _take_environ(environ_file) if environ_file else dict(os.environ)
    if rest == ["--delete"]:
        with cli.locked():
            laptops.delete(name)
        return 0
    if not laptops.exists(name):
        with cli.locked():
            if not processes.is_alive("apiserver"):
                raise SandboxError("the sandbox is not running: `sandbox/sandbox up` first")
            laptops.create(name)
    _enter(name, rest[1:], environment)
    return 0


def _write_environ() -> str:
    """The user's environment for the other side of sudo; 0600, and removed when it is read."""
    with tempfile.NamedTemporaryFile("w", prefix="sandbox-environ-", delete=False) as file:
        json.dump(dict(os.environ), file)
    return file.name


def _take_environ(path: str) -> dict[str, str]:
    """Only the invoker's own file: this runs as root and is told the name by a user."""
    invoker = places.observe_invoker()
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW)) as file:
        if os.fstat(file.fileno()).st_uid != invoker.uid:
            raise SandboxError(f"{path} is not yours")
        environment = json.load(file)
    Path(path).unlink()
    return {str(key): str(value) for key, value in environment.items()}


def _enter(name: str, command: list[str], environment: dict[str, str]) -> None:
    invoker = places.observe_invoker()
    shell = environment.get("SHELL") or pwd.getpwuid(invoker.uid).pw_shell or "/bin/sh"
    words = command or [shell]
    if invoker.uid != os.getuid():
        ids = [f"--reuid={invoker.uid}", f"--regid={invoker.gid}", "--init-groups"]
        words = ["/usr/bin/setpriv", *ids, "--", *words]
    sys.stdout.flush()
    sys.stderr.flush()
    program = shutil.which("ip", path="/usr/sbin:/sbin") or "ip"  # not by the user's PATH
    os.execve(program, ["ip", "netns", "exec", name, *words], environment)
