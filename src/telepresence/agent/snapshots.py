"""Send the files of volumes that kubelet writes, and send a volume again when it has changed.

Called by: services.py, one task a stream.
Owns: a descriptor of each volume that it watches, until the stream ends.
Never: polls where the kernel tells of changes; sends half a change.

kubelet replaces a whole volume at once: its files are in a directory of their own, to which the
link `..data` leads, and a rename moves that link (Kubernetes, pkg/volume/util/atomic_writer.go).
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
import stat
import sys
from collections.abc import Iterator

from telepresence.snapshot import (
    LIMIT_BYTES,
    File,
    Snapshot,
    make_snapshot,
    take_request,
)

log = logging.getLogger(__name__)

REQUEST_BYTES = 1 << 20
LOOK_S = 10.0  # where the kernel does not tell of changes (gVisor); kubelet takes a minute itself
TRIES = 5  # a volume that changes while it is read is read again
_DATA = b"..data"
_watchers: set[asyncio.Event] = set()


def _on_change() -> None:
    for watcher in _watchers:
        watcher.set()


def _tell_changes(fd: int) -> bool:
    """Whether the kernel will: a signal for each name that changes in that directory.

    fcntl(2), "File and directory change notification": Python's own library has it, and not
    inotify(7), and to know that something has changed is enough."""
    if sys.platform != "linux":
        return False
    try:
        fcntl.fcntl(fd, fcntl.F_NOTIFY, fcntl.DN_RENAME | fcntl.DN_MULTISHOT)
    except OSError as exc:
        log.warning("changes of volumes are looked for, not told: %s", exc)
        return False
    return True


@contextlib.contextmanager
def _watching(paths: tuple[bytes, ...]) -> Iterator[tuple[asyncio.Event, float | None]]:
    """An event that is set when a name in one of the directories has changed, and how long to wait
    for it at most."""
    changed, wait_s = asyncio.Event(), None
    asyncio.get_running_loop().add_signal_handler(signal.SIGIO, _on_change)
    with contextlib.ExitStack() as stack:
        for path in paths:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, fd)
                if not _tell_changes(fd):
                    wait_s = LOOK_S
        _watchers.add(changed)
        stack.callback(_watchers.discard, changed)
        yield changed, wait_s


def _version(path: bytes) -> bytes:
    """Another one when the volume has changed; empty for what kubelet does not renew."""
    try:
        return os.readlink(os.path.join(path, _DATA))  # noqa: PTH115, PTH118 # bytes
    except OSError:
        return b""


def _file(path: bytes, name: bytes) -> File | None:
    """None: it is no regular file, or may not be read."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            return File(path=name, mode=mode, content=file.read()) if stat.S_ISREG(mode) else None
    except IsADirectoryError:
        return None
    except PermissionError as exc:
        log.warning("%s of a volume is left out: %s", os.fsdecode(path), exc.strerror)
        return None


def _files(path: bytes) -> tuple[File, ...]:
    top = os.path.join(path, _version(path))  # noqa: PTH118 # bytes
    if not os.path.isdir(top):  # noqa: PTH112
        only = _file(path, b"")
        return () if only is None else (only,)
    found = []
    for folder, _, names in os.walk(top):
        for name in sorted(names):
            place = os.path.join(folder, name)  # noqa: PTH118
            found.append(_file(place, os.path.relpath(place, top)))
    return tuple(file for file in found if file is not None)


def _snapshot(number: int, path: bytes) -> tuple[bytes, bytes]:
    """The volume as a message, and its version.  FileNotFoundError: it does not hold still."""
    for left in range(TRIES, 0, -1):
        before = _version(path)
        try:
            message = make_snapshot(Snapshot(number=number, files=_files(path)))
        except FileNotFoundError:
            if left == 1:
                raise
            continue
        if _version(path) == before:
            break
    if len(message) > LIMIT_BYTES:
        log.warning("the volume %s is too large to be copied", os.fsdecode(path))
        message = make_snapshot(Snapshot(number=number, files=()))
    return message, before


async def _request(stream: socket.socket) -> tuple[bytes, ...]:
    """Which volumes.  ConnectionResetError: the stream ended before it was said."""
    data = b""
    while (paths := take_request(data)) is None:
        more = await asyncio.get_running_loop().sock_recv(stream, REQUEST_BYTES)
        if not more or len(data) > REQUEST_BYTES:
            raise ConnectionResetError
        data += more
    return paths


async def snapshots(stream: socket.socket) -> None:
    """Each volume at once, and again when it has changed, until the laptop ends the stream."""
    loop = asyncio.get_running_loop()
    paths = await _request(stream)
    sent: dict[int, bytes] = {}
    gone = asyncio.ensure_future(loop.sock_recv(stream, 1))
    try:
        with _watching(paths) as (changed, wait_s):
            while not gone.done():
                changed.clear()
                for number, path in enumerate(paths):
                    if number not in sent or _version(path) != sent[number]:
                        message, sent[number] = await asyncio.to_thread(_snapshot, number, path)
                        await loop.sock_sendall(stream, message)
                news = asyncio.ensure_future(changed.wait())
                await asyncio.wait(
                    (news, gone), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED
                )
                news.cancel()
    finally:
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await gone
