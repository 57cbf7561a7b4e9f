"""Ask the machine for what the sandbox needs: root, Debian packages, commands that must succeed.

Called by: all modules that start a program.  Owns: the progress lines on stderr.
Never: knows what the sandbox is made of."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

STARTED = time.monotonic()


class SandboxError(Exception):
    """One line for the user: what went wrong, and what to do next."""


def say(message: str) -> None:
    print(f"[sandbox {time.monotonic() - STARTED:5.1f} s] {message}", file=sys.stderr, flush=True)


def run(
    *command: str | Path, stdin: str | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """Run a command and return its stdout; SandboxError with its last line when it fails."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, input=stdin, capture_output=True, text=True, env=environment, check=False
        )
    except FileNotFoundError as exc:
        raise SandboxError(f"{words[0]} is not installed: install it and try again") from exc
    if done.returncode != 0:
        complaint = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise SandboxError(f"`{' '.join(words)[:200]}` failed: {complaint[-1]}")
    return done.stdout


def attempt(*command: str | Path, stdin: str | None = None) -> bool:
    """Run a command that may fail because its work is already done."""
    try:
        run(*command, stdin=stdin)
    except SandboxError:
        return False
    return True


def wait_until(
    true: Callable[[], bool],
    what: str,
    *,
    timeout_s: float,
    hint: str,
    or_raise: Callable[[], None] = lambda: None,
    step_s: float = 0.05,
) -> None:
    """Ask until it is true; or_raise() ends the wait early when it never will be."""
    deadline = time.monotonic() + timeout_s
    while not true():
        or_raise()
        if time.monotonic() > deadline:
            raise SandboxError(f"{what} after {timeout_s:.0f} s: {hint}")
        time.sleep(step_s)


def become_root(arguments: Sequence[str]) -> None:
    """Re-execute by sudo unless this is root; returns only as root."""
    if os.geteuid() == 0:
        return
    check_sudo()
    program = str(Path(sys.argv[0]).resolve())
    os.execvp("sudo", ["sudo", "--", "/usr/bin/python3", program, *arguments])


def check_sudo() -> None:
    """Ask for the password, where one is needed, before anything is prepared for the other side."""
    if shutil.which("sudo") is None:
        raise SandboxError("needs root: run it as root, or install sudo")
    if subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0:
        return
    if subprocess.run(["sudo", "-v"], check=False).returncode != 0:
        raise SandboxError("needs root, and sudo refuses you: run it as root, or get the right")


# Command that must be there -> Debian package that brings it.  Commands and not packages, so that
# a containerd from another source is used as it is.
PACKAGES: Mapping[str, str] = {
    "etcd": "etcd-server",
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables-restore": "iptables",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "openssl": "openssl",
    "kubectl": "kubernetes-client",
    "setpriv": "util-linux",
    "mount": "mount",
    "/usr/lib/python3/dist-packages/dnslib/__init__.py": "python3-dnslib",
}
BUILD_PACKAGES: Mapping[str, str] = {
    "go": "golang-go",
    "/usr/share/gocode/src/github.com/modern-go/reflect2": "golang-github-modern-go-reflect2-dev",
    "gcc": "gcc",
    "/usr/lib/x86_64-linux-gnu/libc.a": "libc6-dev",
    "dpkg-source": "dpkg-dev",
    "mmdebstrap": "mmdebstrap",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}


def install_missing(wanted: Mapping[str, str]) -> None:
    """Install the packages of the commands that are not there; no apt when nothing is missing."""
    missing = sorted({package for need, package in wanted.items() if not _present(need)})
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise SandboxError(f"needs Debian's packages, but there is no apt-get: {' '.join(missing)}")
    say(f"installing Debian packages: {' '.join(missing)}")
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    with _NoServices():
        try:
            run(*install, environment=environment)
        except SandboxError:
            run("apt-get", "update", environment=environment)
            run(*install, environment=environment)


def _present(need: str) -> bool:
    if need == "/usr/lib/x86_64-linux-gnu/libc.a":
        return any(True for _ in Path("/usr/lib").glob("*-linux-gnu/libc.a"))
    return Path(need).exists() if need.startswith("/") else shutil.which(need) is not None


class _NoServices:
    """Keep apt from starting etcd-server's and containerd's services: the sandbox has its own."""

    policy = Path("/usr/sbin/policy-rc.d")

    def __enter__(self) -> None:
        self.ours = not self.policy.exists()
        if self.ours:
            self.policy.write_text("#!/bin/sh\nexit 101\n")
            self.policy.chmod(0o755)

    def __exit__(self, *_: object) -> None:
        if self.ours:
            self.policy.unlink(missing_ok=True)


def read_packages(path: Path) -> list[str]:
    lines = (line.strip() for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]
