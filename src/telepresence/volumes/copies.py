"""The pod's secrets, configmaps, downward and projected volumes as files of the laptop: no FUSE.

Called by: session; whoever else wants them in a directory, as a container that has no sshfs.
Owns: the directory and all that is in it, until the context ends.
Never: shows half a change; copies a volume that the pod's programs may write to.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from telepresence.errors import MethodError, ProtocolError, TunnelError
from telepresence.snapshot import File, Snapshot, make_request, take_snapshot
from telepresence.values import MountPoint, Pod

log = logging.getLogger(__name__)

OpenService = Callable[[str], Awaitable[socket.socket]]
CHUNK_BYTES = 1 << 20
_DATA = "..data"


def _write(path: Path, file: File) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(file.content)
        os.fchmod(opened.fileno(), file.mode)


def _link(place: Path, target: str) -> None:
    """At once, in the place of whatever is there."""
    draft = place.with_name("..draft")
    draft.symlink_to(target)
    draft.replace(place)


def put_volume(place: Path, files: tuple[File, ...], version: int) -> None:
    """All of the files in one step, by kubelet's own way: they are in a directory of their own to
    which the link `..data` leads, and each name of the volume is a link through it."""
    if [file.path for file in files] == [b""]:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        _write(place, files[0])
        return
    folder = place / f"..{version}"
    folder.mkdir(parents=True)
    for file in files:
        _write(folder / os.fsdecode(file.path), file)
    _link(place / _DATA, folder.name)
    names = {os.fsdecode(file.path).partition("/")[0] for file in files}
    for name in names:
        if not os.path.lexists(place / name):  # another volume may be mounted there
            (place / name).symlink_to(f"{_DATA}/{name}")
    for old in list(place.iterdir()):
        if old.is_symlink() and old.name not in {*names, _DATA}:
            old.unlink()
        elif old.name.startswith("..") and old.name not in {_DATA, folder.name}:
            shutil.rmtree(old)


class Copies:
    """async with Copies(...) as copies: ...; await copies.ready()"""

    def __init__(
        self, root: Path, pod: Pod, open_service: OpenService, *, is_shared: bool = False
    ) -> None:
        """The root is made; it must not be there.  is_shared: the copies are in a directory of it
        that any user may enter whom an engine leads there."""
        self._place = root
        self.root = root / "fs" if is_shared else root
        self.shown = tuple(MountPoint(path=path, read_only=True) for path in pod.projections)
        self._open, self._paths = open_service, pod.projections
        self._left_out = pod.other_volumes
        self._versions = dict.fromkeys(range(len(self._paths)), 0)
        self._all = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Copies":
        try:
            self._place.mkdir(mode=0o700)
            if self.root != self._place:
                self.root.mkdir(mode=0o755)
        except OSError as exc:
            raise MethodError(
                f"the copies of the volumes cannot be in {self.root}: {exc.strerror}",
                hint="$XDG_RUNTIME_DIR names another place",
            ) from exc
        self._work = asyncio.ensure_future(self._follow())
        return self

    async def _follow(self) -> None:
        """Write down what comes, for as long as the tunnel is there."""
        loop, data = asyncio.get_running_loop(), bytearray()
        with contextlib.closing(await self._open("snapshots")) as stream:
            await loop.sock_sendall(stream, make_request(self._paths))
            self._take(data)
            while more := await loop.sock_recv(stream, CHUNK_BYTES):
                data += more
                self._take(data)
        raise TunnelError("the agent stopped sending the volumes")

    def _take(self, data: bytearray) -> None:
        while (snapshot := take_snapshot(data)) is not None:
            self._put(snapshot)
        if all(self._versions.values()):
            self._all.set()

    def _put(self, snapshot: Snapshot) -> None:
        if snapshot.number not in self._versions:
            raise ProtocolError(f"the agent sends a volume {snapshot.number} that nobody wanted")
        version = self._versions[snapshot.number] = self._versions[snapshot.number] + 1
        path = self._paths[snapshot.number]
        place = self.root / os.fsdecode(path.lstrip(b"/"))
        try:
            put_volume(place, snapshot.files, version)
        except OSError as exc:
            raise MethodError(f"cannot copy the volume to {place}: {exc.strerror}") from exc
        log.info("volume %s, %d files, version %d", place, len(snapshot.files), version)

    async def ready(self) -> str:
        """Wait until all are here; returns what the user should hear.  The error that ended it."""
        assert self._work is not None
        first = asyncio.ensure_future(self._all.wait())
        try:
            await asyncio.wait((first, self._work), return_when=asyncio.FIRST_COMPLETED)
            if not first.done():
                self._work.result()
        finally:
            first.cancel()
        self._work.add_done_callback(_tell)
        if not self._left_out:
            return ""
        names = ", ".join(map(os.fsdecode, self._left_out))
        return f"--mount copy leaves out {names}: only what Kubernetes itself writes is copied"

    async def __aexit__(self, *_: object) -> None:
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
        await asyncio.to_thread(shutil.rmtree, self._place, ignore_errors=True)


def _tell(work: "asyncio.Task[None]") -> None:
    if not work.cancelled() and (error := work.exception()) is not None:
        log.warning("the copies of the volumes are no longer renewed: %s", error)
