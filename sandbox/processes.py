"""Start the sandbox's programs so that they outlive the terminal, and find them again.

Called by: control_plane, node, laptop, teardown.  Owns: the pid files and the cgroup of them all.
Never: knows what a program is for."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import places
from machine import SandboxError

CGROUPS = Path("/sys/fs/cgroup")


def start(name: str, command: Sequence[str | Path], *, cwd: Path | None = None) -> bool:
    """Start the program unless it runs.  True when it was started."""
    if is_alive(name):
        return False
    places.logs().mkdir(parents=True, exist_ok=True)
    places.PROCESSES.mkdir(parents=True, exist_ok=True)
    with (places.logs() / f"{name}.log").open("ab") as log:
        child = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=cwd or "/",
            start_new_session=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/cni", "HOME": str(places.data())},
        )
    # Before the child has any: what it forks later is in the cgroup too, so nothing escapes `down`.
    (_home_cgroup() / "cgroup.procs").write_text(str(child.pid))
    _pid_file(name).write_text(f"{child.pid} {_start_time(child.pid)}")
    return True


def is_alive(name: str) -> bool:
    return pid_of(name) is not None


def pid_of(name: str) -> int | None:
    """The pid, if it is still the process that was started: pids are used again."""
    try:
        pid_text, started = _pid_file(name).read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return int(pid_text) if _start_time(int(pid_text)) == started else None


def names() -> list[str]:
    if not places.PROCESSES.is_dir():
        return []
    return sorted(path.name.removesuffix(".pid") for path in places.PROCESSES.glob("*.pid"))


def stop(name: str) -> None:
    pid = pid_of(name)
    if pid is not None:
        _kill([pid])
        wait_gone([pid])
    _pid_file(name).unlink(missing_ok=True)


def end(pids: Sequence[int]) -> None:
    """Kill processes that the sandbox did not start but must not leave behind."""
    _kill(pids)
    wait_gone(pids)


def last_log_line(name: str) -> str:
    try:
        lines = (places.logs() / f"{name}.log").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return "no log"
    return lines[-1][:300] if lines else "empty log"


def check_alive(*expected: str) -> None:
    for name in expected:
        if not is_alive(name):
            raise SandboxError(
                f"{name} ended: {last_log_line(name)} (log: {places.logs() / name}.log)"
            )


def _pid_file(name: str) -> Path:
    return places.PROCESSES / f"{name}.pid"


def _start_time(pid: int) -> str | None:
    """Clock ticks since boot at its start; None for a dead one or a zombie.  Source: proc(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


# ---- cgroups: pods and programs live below one directory, so that all can be found and ended


def make_cgroups() -> None:
    """Create the cgroup in each hierarchy (v1), or with every controller enabled (v2)."""
    for root in _hierarchies():
        group = root / places.CGROUP
        group.mkdir(exist_ok=True)
        if (root / "cgroup.controllers").exists():
            if root == CGROUPS:
                _enable_controllers(root)
                _enable_controllers(group)
        elif (group / "cpuset.cpus").exists():
            for setting in ("cpuset.cpus", "cpuset.mems"):  # empty: nothing could join
                (group / setting).write_text((root / setting).read_text())
    _home_cgroup().mkdir(exist_ok=True)


def _enable_controllers(group: Path) -> None:
    for controller in (group / "cgroup.controllers").read_text().split():
        try:
            (group / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError:  # not delegated here; kubelet says so if it needs it
            continue


def _hierarchies() -> list[Path]:
    """Mount points of cgroup v1 hierarchies, and v2's."""
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2") and Path(where).is_relative_to(CGROUPS):
            found.append(Path(where))
    if not found:
        raise SandboxError("no cgroups are mounted on /sys/fs/cgroup: mount them and try again")
    return found


def _home_cgroup() -> Path:
    """Where the programs live.  v2 forbids processes in a group whose children have controllers."""
    for root in (CGROUPS / "pids", CGROUPS):
        if (root / places.CGROUP).is_dir():
            return root / places.CGROUP / "programs"
    raise SandboxError("the sandbox's cgroup is gone: run `sandbox/sandbox down`, then `up`")


def all_pids() -> list[int]:
    """Every process of the sandbox: programs, shims, containers."""
    found = {pid for name in names() if (pid := pid_of(name)) is not None}
    for root in (CGROUPS / "pids", CGROUPS, CGROUPS / "memory"):
        group = root / places.CGROUP
        for directory, _, files in os.walk(group):
            if "cgroup.procs" in files:
                found.update(_read_pids(Path(directory) / "cgroup.procs"))
    return sorted(found)


def _read_pids(path: Path) -> list[int]:
    try:
        return [int(word) for word in path.read_text().split()]
    except OSError:  # the group went away, or is threaded
        return []


def kill_all() -> None:
    """End every process of the sandbox, also those that are born meanwhile."""
    deadline = time.monotonic() + 10
    while pids := all_pids():
        _kill(pids)
        wait_gone(pids)
        if time.monotonic() > deadline:
            raise SandboxError(f"processes do not end: {pids[:10]}; kill them by hand")


def _kill(pids: Sequence[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def wait_gone(pids: Sequence[int]) -> None:
    deadline = time.monotonic() + 5
    while any(_start_time(pid) is not None for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)


def remove_cgroups() -> None:
    for root in _hierarchies():
        group = root / places.CGROUP
        for directory, children, _ in os.walk(group, topdown=False):
            for child in children:
                _remove_group(Path(directory) / child)
        _remove_group(group)


def _remove_group(group: Path) -> None:
    deadline = time.monotonic() + 2  # busy for a moment after its last process is reaped
    while group.is_dir():
        try:
            group.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                return
            time.sleep(0.01)
