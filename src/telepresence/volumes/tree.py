"""The pod's whole file system under one directory, $TELEPRESENCE_ROOT.

Called by: session.
Owns: every sshfs of it, and the directory when it is a temporary one.
Never: lets the start wait for the mount before the process needs it: enter, prepare, then ready().
"""

import asyncio
import contextlib
import logging
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType

from telepresence.errors import MethodError
from telepresence.mountinfo import is_volume
from telepresence.values import MountPoint, Plan, Pod
from telepresence.volumes.sshfs import Sshfs, is_mounted, unmount

log = logging.getLogger(__name__)

OpenService = Callable[[str], Awaitable[socket.socket]]


def parts(mounts: tuple[MountPoint, ...]) -> list[MountPoint]:
    """The mounts that are needed: the root, then each volume that is writable where what is above
    it is not, or the other way round.  SFTP has no word for EROFS; a read-only mount has."""
    root = next((m for m in mounts if m.path == b"/"), MountPoint(path=b"/", read_only=False))
    chosen = [root]
    for mount in sorted(filter(is_volume, mounts), key=lambda m: m.path):
        above = [part for part in chosen if mount.path.startswith(part.path.rstrip(b"/") + b"/")]
        if max(above, key=lambda part: len(part.path)).read_only != mount.read_only:
            chosen.append(mount)
    return chosen


class Tree:
    """async with Tree(...) as tree: ...; await tree.ready()"""

    def __init__(
        self, plan: Plan, pod: Pod, open_service: OpenService, mounts: tuple[MountPoint, ...]
    ) -> None:
        self._plan, self._pod, self._open, self._mounts = plan, pod, open_service, mounts
        self._sshfs: list[Sshfs] = []
        self._temporary: Path | None = None
        self._work: asyncio.Task[None] | None = None
        self.root: Path | None = None
        self.shown = mounts

    async def __aenter__(self) -> "Tree":
        if self._plan.mount.mode == "none":
            return self
        if self._plan.mount.path is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="telepresence-"))
            self.root = self._temporary / "fs"
            self.root.mkdir(mode=0o700)
        else:
            self.root = self._plan.mount.path
            self.root.mkdir(parents=True, exist_ok=True)
        self._work = asyncio.ensure_future(self._mount_all(self.root))
        return self

    async def _mount_all(self, root: Path) -> None:
        """Top down, as each lies in the one before; those side by side at the same time."""
        first, *rest = parts(self._mounts)
        await self._mount(root, first)
        depths = sorted({mount.path.count(b"/") for mount in rest})
        for depth in depths:
            level = [mount for mount in rest if mount.path.count(b"/") == depth]
            done = await asyncio.gather(
                *(self._mount(root, mount) for mount in level), return_exceptions=True
            )
            for mount, result in zip(level, done, strict=True):
                # A volume that is one file (subPath), which sshfs cannot mount: it is there, in the
                # mount above, and says EPERM instead of EROFS.
                if isinstance(result, MethodError):
                    log.info("%s is no mount of its own: %s", os.fsdecode(mount.path), result)
                elif result is not None:
                    raise result

    async def _mount(self, root: Path, mount: MountPoint) -> None:
        place = root / os.fsdecode(mount.path.lstrip(b"/"))
        volumes = tuple(volume.path for volume in self._mounts if is_volume(volume))
        stream = await self._open("sftp")
        shared = self._plan.container_run is not None  # an engine runs as another user
        sshfs = await Sshfs.start(stream, self._pod.name, mount, place, volumes, is_shared=shared)
        self._sshfs.append(sshfs)
        await sshfs.ready()

    async def ready(self) -> str:
        """Wait until all is mounted; returns what the user should hear if that is not so.

        MethodError: volumes were asked for, and there are none."""
        if self._work is None:
            return ""
        try:
            await self._work
        except MethodError as exc:
            if self._plan.mount.is_required:
                raise
            return f"{exc}: the command has no volumes"
        log.info("%d mounts on %s", len(self._sshfs), self.root)
        return ""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._work is None:
            return
        assert self.root is not None
        self._work.cancel()
        await asyncio.wait([self._work])
        if is_mounted(self.root):
            await unmount(self.root)
        await asyncio.gather(*(sshfs.close() for sshfs in self._sshfs))
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                self.root.rmdir()
                self._temporary.rmdir()
