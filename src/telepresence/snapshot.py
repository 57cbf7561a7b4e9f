"""The files of one of the pod's volumes, on their way to the laptop: files in, bytes out, and back.

Called by: agent/snapshots.py (makes), volumes/copies.py (takes).
Owns: the layout and its limit.
Never: knows a socket or a file system; believes a name that leads out of the volume.

    request:   the volumes' paths, each ended by NUL, then one NUL more
    snapshot:  number of the volume (4 bytes), length of the rest (8), then for each file
               length of its path (2), mode (4), length of its content (8), path, content
A path is relative to the volume; it is empty if the volume is a file itself.
"""

import struct
from dataclasses import dataclass, field

from telepresence.errors import ProtocolError

LIMIT_BYTES = 64 * 2**20  # a ConfigMap or Secret has 1 MiB at most; a projected volume has many
_HEAD = struct.Struct("!IQ")
_FILE = struct.Struct("!HIQ")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    path: bytes
    mode: int
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    number: int  # of the volume, as it was asked for
    files: tuple[File, ...]


def make_request(paths: tuple[bytes, ...]) -> bytes:
    return b"".join(path + b"\0" for path in paths) + b"\0"


def take_request(data: bytes) -> tuple[bytes, ...] | None:
    """None: feed me more."""
    if data == b"\0":
        return ()
    end = data.find(b"\0\0")
    return None if end == -1 else tuple(data[:end].split(b"\0"))


def make_snapshot(snapshot: Snapshot) -> bytes:
    parts = []
    for file in snapshot.files:
        parts += [_FILE.pack(len(file.path), file.mode, len(file.content)), file.path, file.content]
    body = b"".join(parts)
    return _HEAD.pack(snapshot.number, len(body)) + body


def _is_within(path: bytes) -> bool:
    """As Kubernetes wants an item's path: no way up, nor a start in "..", which the volume's own
    names have."""
    return not path.startswith(b"..") and not {b"", b".", b".."} & set(path.split(b"/"))


def _take_files(body: bytes) -> list[File]:
    files, at = [], 0
    while at < len(body):
        path_len, mode, content_len = _FILE.unpack_from(body, at)
        at += _FILE.size
        path, content = body[at : at + path_len], body[at + path_len : at + path_len + content_len]
        at += path_len + content_len
        if at > len(body) or b"\0" in path or (path and not _is_within(path)):
            raise ProtocolError(f"the agent names a file that cannot be in a volume: {path!r}")
        files.append(File(path=path, mode=mode & 0o777, content=content))
    if len(files) > 1 and any(not file.path for file in files):
        raise ProtocolError("the agent says that a volume is a file and a directory")
    return files


def take_snapshot(data: bytearray) -> Snapshot | None:
    """Eats what it returns; None: feed me more.  ProtocolError: it is none."""
    if len(data) < _HEAD.size:
        return None
    number, length = _HEAD.unpack_from(data)
    if length > LIMIT_BYTES:
        raise ProtocolError(f"the agent sends a volume of {length} bytes")
    end = _HEAD.size + length
    if len(data) < end:
        return None
    body = bytes(data[_HEAD.size : end])
    del data[:end]
    try:
        return Snapshot(number=number, files=tuple(_take_files(body)))
    except struct.error as exc:
        raise ProtocolError("the agent cuts a file's header off") from exc
