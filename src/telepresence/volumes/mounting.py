"""What is mounted on this machine: looked up, waited for, taken away.

Called by: volumes/sshfs.py, volumes/tree.py, recovery.
Owns: the watch, until its context ends.
Never: mounts; looks into a mount, which may be slow or dead.
"""

import asyncio
import contextlib
import logging
import os
import re
import select
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from telepresence.errors import MethodError
from telepresence.mountinfo import take_mounts

log = logging.getLogger(__name__)

MOUNTINFO = Path("/proc/self/mountinfo")
_MOUNT = "/sbin/mount"  # macOS; it prints the kernel's table and asks no file system: mount(8)
# Besides the event, of which there was no Mac to see that it comes.
_AGAIN_S = 0.5 if sys.platform == "darwin" else None
_EVFILT_FS = -9  # the standard library has no name for it
_MACOS_LINE = re.compile(r"^.* on (/.*) \(.*\)$")
# Out of sight at once, also while files are open.  fusermount3(1); umount(8) of macOS, where the
# owner of a mount may.
_UNMOUNT = {
    "linux": (("fusermount3", "-u", "-q", "-z", "--"), ("fusermount", "-u", "-q", "-z", "--")),
    "darwin": (("/sbin/umount", "-f"), ("/usr/sbin/diskutil", "unmount", "force")),
}


def take_macos_mounts(said: str) -> list[Path]:
    """The places in what mount(8) of macOS prints: `device on /place (kind, options)`."""
    found = (_MACOS_LINE.match(line) for line in said.splitlines())
    return [Path(each[1]) for each in found if each is not None]


def mounted() -> list[Path]:
    """Every place where something is mounted."""
    if sys.platform == "darwin":
        return take_macos_mounts(subprocess.run([_MOUNT], stdout=PIPE, text=True).stdout)
    mounts = take_mounts(MOUNTINFO.read_bytes()) if MOUNTINFO.exists() else ()
    return [Path(os.fsdecode(mount.path)) for mount in mounts]


def is_mounted(place: Path) -> bool:
    """The place is without symbolic links, as the kernel has it."""
    return place in mounted()


class _Watch(Protocol):
    """What select.epoll and select.kqueue have in common."""

    def fileno(self) -> int: ...
    def close(self) -> None: ...


async def wait_mounted(place: Path) -> None:
    """Until something is mounted there."""
    with _Changes() as changes:
        # The loop begins to watch when it next waits, and what came before is not told then.
        await asyncio.sleep(0)
        while not is_mounted(place):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_S):
                    await changes.seen.wait()
            changes.seen.clear()


class _Changes:
    """with _Changes() as changes: changes.seen is set each time that mounts have changed."""

    def __init__(self) -> None:
        self.seen = asyncio.Event()
        self._stack = contextlib.ExitStack()
        self._take: Callable[[], object]

    def __enter__(self) -> "_Changes":
        watch = self._stack.enter_context(contextlib.closing(self._watch()))
        loop = asyncio.get_running_loop()
        loop.add_reader(watch.fileno(), self._on_change)
        self._stack.callback(loop.remove_reader, watch.fileno())
        return self

    def _watch(self) -> _Watch:
        """Readable when mounts have changed.

        proc(5), /proc/pid/mounts: a change is a priority event; the file itself is always readable,
        so the loop watches an epoll that waits for that alone.  xnu, sys/event.h: EVFILT_FS."""
        if sys.platform == "linux":
            file = self._stack.enter_context(MOUNTINFO.open("rb"))
            epoll = select.epoll()
            epoll.register(file.fileno(), select.EPOLLPRI)
            self._take = lambda: epoll.poll(0)
            return epoll
        if sys.platform == "darwin":
            queue = select.kqueue()
            flags = select.KQ_EV_ADD | select.KQ_EV_CLEAR
            queue.control([select.kevent(0, filter=_EVFILT_FS, flags=flags)], 0)
            self._take = lambda: queue.control(None, 8, 0)
            return queue
        raise MethodError("mounts are seen on Linux and macOS alone")  # refused before: fuse.py

    def _on_change(self) -> None:
        self._take()
        self.seen.set()

    def __exit__(self, *_: object) -> None:
        self._stack.close()


async def unmount(place: Path, platform: str = sys.platform) -> None:
    """Take the mount, and those within it on Linux, out of sight."""
    for words in _UNMOUNT.get(platform, ()):
        try:
            process = await asyncio.create_subprocess_exec(
                *words, str(place), stdin=DEVNULL, stdout=PIPE, stderr=STDOUT,
                start_new_session=True,
            )  # fmt: skip
        except FileNotFoundError:
            continue
        said, _ = await process.communicate()
        if process.returncode == 0:
            return
        log.info("%s %s: %s", words[0], place, said.decode(errors="replace").rstrip())
