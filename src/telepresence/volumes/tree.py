"""The pod's whole file system under one directory, $TELEPRESENCE_ROOT.

Called by: session.
Owns: every sshfs of it, and the directory when it is a temporary one.
Never: lets the start wait for the mount: it is made while the tunnel is.
"""

import asyncio
import contextlib
import logging
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from telepresence.errors import MethodError
from telepresence.mountinfo import is_volume
from telepresence.values import MountPoint, Plan, Pod
from telepresence.volumes.mounting import is_mounted, unmount
from telepresence.volumes.sshfs import Sshfs

log = logging.getLogger(__name__)

OpenService = Callable[[str], Awaitable[socket.socket]]


def lies_in(mount: MountPoint, other: MountPoint) -> bool:
    return mount.path.startswith(other.path.rstrip(b"/") + b"/")


def shown(mounts: tuple[MountPoint, ...]) -> tuple[MountPoint, ...]:
    """The root and the volumes."""
    return tuple(mount for mount in mounts if mount.path == b"/" or is_volume(mount))


def parts(
    mounts: tuple[MountPoint, ...], *, says_erofs: bool = sys.platform == "linux"
) -> list[MountPoint]:
    """The mounts that are needed.  SFTP has no word for EROFS; a read-only mount has, and so has
    our sshfs where it can be taught (sftp/refuse.c): then one mount does for all.

    Else the root, then each volume that is writable where what is above it is not, or the other way
    round."""
    root = next((m for m in mounts if m.path == b"/"), MountPoint(path=b"/", read_only=False))
    volumes = sorted(filter(is_volume, mounts), key=lambda m: m.path)
    if says_erofs:
        is_frozen = root.read_only and all(volume.read_only for volume in volumes)
        return [MountPoint(path=b"/", read_only=is_frozen)]
    chosen = [root]
    for mount in volumes:
        above = [part for part in chosen if lies_in(mount, part)]
        if max(above, key=lambda part: len(part.path)).read_only != mount.read_only:
            chosen.append(mount)
    return chosen


class Tree:
    """async with Tree(plan, pod) as tree: ...
    async with tree.joined(open_service, mounts): ...; await tree.ready()

    The root is mounted from the first on, by what the pod's specification says, while the tunnel is
    made; from the second on it is there to be used."""

    def __init__(self, plan: Plan, pod: Pod) -> None:
        self._plan, self._pod = plan, pod
        self._is_shared = plan.container_run is not None  # an engine runs as another user
        self._sshfs: list[Sshfs] = []
        self._temporary: Path | None = None
        self._first: asyncio.Task[Sshfs] | None = None
        self._work: asyncio.Task[None] | None = None
        self._connecting: asyncio.Task[None] | None = None
        self.root: Path | None = None
        self._place = Path()  # the same without symbolic links, as the kernel's table has it
        self.shown: tuple[MountPoint, ...] = ()

    async def __aenter__(self) -> "Tree":
        if self._plan.mount.mode != "fuse":
            return self
        if self._plan.mount.path is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="telepresence-"))
            self.root = self._temporary / "fs"
            self.root.mkdir(mode=0o700)
        else:
            self.root = self._plan.mount.path
            self.root.mkdir(parents=True, exist_ok=True)
        self._place = self.root.resolve()
        self._first = asyncio.ensure_future(self._start_first(self._pod.mounts))
        return self

    async def _start_first(self, mounts: tuple[MountPoint, ...]) -> Sshfs:
        return await self._start(parts(mounts)[0], shown(mounts))

    async def _start(self, mount: MountPoint, mounts: tuple[MountPoint, ...]) -> Sshfs:
        place = self._place / os.fsdecode(mount.path.lstrip(b"/"))
        sshfs = await Sshfs.start(self._pod.name, mount, place, mounts, is_shared=self._is_shared)
        self._sshfs.append(sshfs)
        return sshfs

    @contextlib.asynccontextmanager
    async def joined(
        self, open_service: OpenService, mounts: tuple[MountPoint, ...]
    ) -> AsyncIterator["Tree"]:
        """Everything is on its way: ready() waits for it.  The mounts are what the pod has."""
        self.shown = mounts
        if self._first is not None:
            self._work = asyncio.ensure_future(self._mount_all(open_service, mounts))
        try:
            yield self
        finally:
            if self.root is not None:
                await self.close()

    async def _mount_all(self, open_service: OpenService, mounts: tuple[MountPoint, ...]) -> None:
        """Each after the one that it lies in, and at the same time as all others."""
        volumes, mounts = tuple(filter(is_volume, mounts)), shown(mounts)
        root, *rest = parts(mounts)
        begun: list[tuple[MountPoint, asyncio.Future[None]]] = []

        async def connect(sshfs: Sshfs) -> None:
            await sshfs.connect(await open_service("sftp"), volumes)

        async def mount(one: MountPoint, above: Awaitable[None]) -> None:
            await above
            sshfs = await self._start(one, mounts)
            await asyncio.gather(connect(sshfs), sshfs.ready())

        first = await self._fitting(root, mounts)
        # Mounted it is without, and whoever looks into it waits: no round trip for a program that
        # does not.
        self._connecting = asyncio.ensure_future(connect(first))
        begun.append((root, asyncio.ensure_future(first.ready())))
        try:
            for one in rest:  # sorted, so what it lies in came before
                above = max(
                    (part for part in begun if lies_in(one, part[0])),
                    key=lambda part: len(part[0].path),
                )
                begun.append((one, asyncio.ensure_future(mount(one, above[1]))))
            await self._all_mounted(begun)
        finally:
            for _, work in begun:
                work.cancel()

    async def _all_mounted(self, begun: list[tuple[MountPoint, asyncio.Future[None]]]) -> None:
        works = [work for _, work in begun]
        done = await asyncio.gather(*works, return_exceptions=True)
        for (one, _), result in zip(begun, done, strict=True):
            # A volume that is one file (subPath), which sshfs cannot mount: it is there, in the
            # mount above, which says EROFS for it.
            if isinstance(result, MethodError) and one.path != b"/":
                log.info("%s is no mount of its own: %s", os.fsdecode(one.path), result)
            elif result is not None:
                raise result

    async def _fitting(self, root: MountPoint, mounts: tuple[MountPoint, ...]) -> Sshfs:
        """The first one, or one in its place if the pod is not what its specification says."""
        assert self._first is not None
        first = await self._first
        if first.fits(root, mounts):
            return first
        log.info("the root is mounted anew: the pod's mounts are not those of its specification")
        await first.close()
        return await self._start(root, mounts)

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

    async def close(self) -> None:
        """Twice is harmless."""
        for task in (self._work, self._first, self._connecting):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if is_mounted(self._place):
            await unmount(self._place)
        await asyncio.gather(*(sshfs.close() for sshfs in self._sshfs))

    async def __aexit__(self, *_: object) -> None:
        if self.root is None:
            return
        await self.close()
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                self.root.rmdir()
                self._temporary.rmdir()
