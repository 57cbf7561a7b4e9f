"""Find and end every process of a session, however far it went from its parent.

Called by: runner.py, and recovery.py when the session's own process is gone.
Owns: nothing.
Never: touches a process that was not started by the session: each of them carries its mark.

The mark is an environment variable, which children inherit: unlike a process group or a parent it
is not lost to setsid(2) or when a parent ends.  Source: proc(5), /proc/PID/environ.
"""

import contextlib
import os
import select
import signal
import sys
import time
from pathlib import Path

MARK = "TELEPRESENCE_SESSION"
EXECUTED_S = 1.0  # execve(2) takes microseconds, unless the machine is very busy
_EMPTY_READS = 3


def _environ(process: Path) -> bytes:
    """OSError: it is another user's, or gone, or of the kernel.

    A process that is just being executed has neither words nor environment, and what was opened
    before reads as empty after: one that seems to have none is asked again."""
    deadline, empty = time.monotonic() + EXECUTED_S, 0
    while empty < _EMPTY_READS and time.monotonic() < deadline:
        if said := (process / "environ").read_bytes():
            return said
        if (process / "cmdline").read_bytes():
            empty += 1
        else:
            (process / "exe").readlink()  # a zombie, as a thread of the kernel, has none
            time.sleep(0.001)
    return b""


def marked(session: str) -> list[int]:
    """Their process ids; none where there is no /proc."""
    wanted, found = f"{MARK}={session}".encode(), []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            environ = _environ(place)
        except OSError:
            continue
        if wanted in environ.split(b"\0") and int(place.name) != os.getpid():
            found.append(int(place.name))
    return found


def _watched(pids: list[int]) -> dict[int, int]:
    """A descriptor for each that still runs, which is not fooled by a number used again."""
    fds: dict[int, int] = {}
    if not hasattr(os, "pidfd_open"):  # before Linux 5.3: better none than a wrong one
        return fds
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            fds[os.pidfd_open(pid)] = pid
    return fds


def _wait(fds: dict[int, int], timeout_s: float) -> None:
    """Until all have ended or the time is over; closes the descriptors of those that ended."""
    deadline = time.monotonic() + timeout_s
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    while fds and (left_s := deadline - time.monotonic()) > 0:
        for fd, _ in poll.poll(left_s * 1000):
            poll.unregister(fd)
            del fds[fd]
            os.close(fd)


def end_all(session: str, grace_s: float) -> int:
    """SIGTERM, and SIGKILL for what is still there after the grace.  Returns how many there were.

    Blocks.  What starts in between is found by looking again."""
    ended: set[int] = set()
    if sys.platform != "linux":  # nobody is found without /proc
        return 0
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
        fds = _watched(marked(session))
        if not fds:
            break
        ended.update(fds.values())
        for fd in fds:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(fd, number)
        _wait(fds, grace_s)
        for fd in fds:
            os.close(fd)
    return len(ended)
