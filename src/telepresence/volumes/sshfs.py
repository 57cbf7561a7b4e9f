"""One sshfs: a directory of the pod on a directory of the laptop, over a stream of the tunnel.

Called by: volumes/tree.py.
Owns: the process and its mount, until close().
Never: sees a byte of a file; starts ssh.
"""

import asyncio
import contextlib
import logging
import os
import select
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from pathlib import Path
from typing import Protocol

from telepresence.errors import MethodError
from telepresence.mountinfo import take_mounts
from telepresence.proc import bound_to_us
from telepresence.values import MountPoint

log = logging.getLogger(__name__)

READY_TIMEOUT_S = 10.0  # mounting takes 10 ms; a machine that swaps takes its time
END_TIMEOUT_S = 1.0
# Between sshfs and the tunnel: sftp/relay.h, sftp/ahead.h.
RELAY = Path(__file__).with_name("telepresence-sftp")
LOCKS = Path(__file__).with_name("libtelepresence-locks.so")  # sftp/locks.c
# A pod that is silent for so long is given up until it is heard again.  A carrier that is lost is
# renewed within 2 s if it can be; the rest is for a slow disk in the pod.
SILENCE_S = 15.0
# Room for several answers of 64 KiB at once: a large file comes 1.4 x as fast; bench/volumes.py.
SEND_BYTES = 1 << 20
MOUNTINFO = Path("/proc/self/mountinfo")
# follow_symlinks: a link is followed in the pod, as a program there would follow it; the laptop's
# kernel never sees one and so cannot be led out of the mount.  The dcache_ ones: how old what is
# shown may be; the kernel adds a second of its own (sshfs(1), mount.fuse3(8)).
OPTIONS = ("passive", "follow_symlinks", "no_check_root", "delay_connect", "dcache_timeout=2")


def is_mounted(path: Path) -> bool:
    mounts = take_mounts(MOUNTINFO.read_bytes())
    return os.fsencode(path) in {mount.path for mount in mounts}


class _Watch(Protocol):
    """What is used of select.epoll, which only Linux has."""

    def fileno(self) -> int: ...
    def poll(self, timeout: float) -> object: ...
    def close(self) -> None: ...


def _priority_of(fd: int) -> _Watch:
    """Readable while fd has a priority event."""
    if sys.platform != "linux":  # refused long before: cluster/observe.py
        raise MethodError("mounts are looked up in /proc, which only Linux has")
    watch = select.epoll()
    watch.register(fd, select.EPOLLPRI)
    return watch


class Mounted:
    """async with Mounted(path): the body runs at once and each time that mounts have changed."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()

    def __enter__(self) -> "Mounted":
        """proc(5), /proc/pid/mounts: a change is a priority event; the file itself is always
        readable, so the loop watches an epoll that waits for that alone."""
        self._file = MOUNTINFO.open("rb")
        self._epoll = _priority_of(self._file.fileno())
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._on_change)
        return self

    def _on_change(self) -> None:
        self._epoll.poll(0)
        self.changed.set()

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._file.close()


async def _start(argv: list[str], stdin: socket.socket, stdout: socket.socket) -> Process:
    for sock in (stdin, stdout):
        sock.setblocking(True)
    preloaded = filter(None, (os.environ.get("LD_PRELOAD"), str(LOCKS)))
    return await asyncio.create_subprocess_exec(
        *bound_to_us(argv), stdin=stdin.fileno(), stdout=stdout.fileno(), stderr=PIPE,
        start_new_session=True,  # Ctrl-C at the terminal is not for it
        env={**os.environ, "LD_PRELOAD": ":".join(preloaded)},
    )  # fmt: skip


class Sshfs:
    """mount = await Sshfs.start(...); await mount.ready(); ... await mount.close()"""

    def __init__(self, process: Process, relay: Process, place: Path) -> None:
        self._process, self._relay, self.place = process, relay, place
        self._said = b""
        self._listener = asyncio.ensure_future(self._listen())

    @classmethod
    async def start(
        cls,
        stream: socket.socket,
        pod: str,
        mount: MountPoint,
        place: Path,
        volumes: tuple[bytes, ...],
        *,
        is_shared: bool = False,
    ) -> "Sshfs":
        """The stream is used up.  is_shared: other users may look into it, whom its directory
        lets in.  MethodError: it cannot be started."""
        options = [
            *OPTIONS,
            *(("allow_other",) if is_shared else ()),
            f"uid={os.geteuid()}",
            f"gid={os.getegid()}",
        ]
        if mount.read_only:
            options.append("ro")
        sshfs = ["sshfs", "-f", "-o", ",".join(options)]
        sshfs += [f"{pod}:{os.fsdecode(mount.path)}", str(place)]
        relay = [str(RELAY), f"{SILENCE_S:g}", *map(os.fsdecode, volumes)]
        near, far = socket.socketpair()
        for end in (stream, near, far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        with stream, near, far:
            try:
                relaying = await _start(relay, near, stream)
                process = await _start(sshfs, far, far)
            except OSError as exc:
                raise MethodError(f"cannot start sshfs: {exc.strerror}") from exc
        return cls(process, relaying, place)

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            log.info("sshfs %s: %s", self.place, line.decode(errors="replace").rstrip())
            self._said = line

    async def ready(self) -> None:
        """Wait until it is mounted.  MethodError: it ended instead, or took too long."""
        ended = asyncio.ensure_future(self._process.wait())
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                with Mounted() as mounts:
                    while not is_mounted(self.place):
                        changed = asyncio.ensure_future(mounts.changed.wait())
                        await asyncio.wait([ended, changed], return_when=asyncio.FIRST_COMPLETED)
                        changed.cancel()
                        mounts.changed.clear()
                        if ended.done():
                            await self._listener
                            why = self._said.decode(errors="replace").strip() or ended.result()
                            raise MethodError(f"cannot mount the volumes on {self.place}: {why}")
        except TimeoutError as exc:
            raise MethodError(f"sshfs did not mount {self.place} in time") from exc
        finally:
            ended.cancel()

    async def close(self) -> None:
        """End it, with whatever is open in it; twice is harmless."""
        for end in (self._process.terminate, self._process.kill):
            with contextlib.suppress(ProcessLookupError):
                end()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_TIMEOUT_S):
                    await self._process.wait()
                    break
        await self._relay.wait()  # it ends with either of its ends
        self._listener.cancel()
        await asyncio.wait([self._listener])


async def unmount(place: Path) -> None:
    """Take the mount, and those within it, out of sight at once, also while files are open."""
    for program in ("fusermount3", "fusermount"):
        try:
            process = await asyncio.create_subprocess_exec(
                program, "-u", "-q", "-z", "--", str(place), stdin=DEVNULL, stdout=PIPE,
                stderr=STDOUT, start_new_session=True,
            )  # fmt: skip
        except FileNotFoundError:
            continue
        said, _ = await process.communicate()
        if process.returncode:
            log.info("%s %s: %s", program, place, said.decode(errors="replace").rstrip())
        return
