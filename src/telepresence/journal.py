"""The undo journal: on disk what a session is about to change, so that another process can undo it.

Called by: undo.py (writes), guard.py and recovery.py (read).
Owns: $XDG_STATE_HOME/telepresence/*.journal, one a session, each locked while somebody minds it.
Never: holds a secret; knows how anything is undone.

    {"session": "...", "context": "...", ...}                    the header
    {"number": 0, "kind": "object", "with": {"path": "..."}}     before it is done
    {"undone": 0}                                                after it is undone
"""

import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUFFIX = ".journal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that has to be undone: of what kind, and what whoever undoes it must know."""

    kind: str
    facts: dict[str, Any]


def folder() -> Path:
    """XDG Base Directory Specification: state that outlives a restart of the machine."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "telepresence"


def this_boot() -> str:
    """Which start of the machine this is; "" where it is not told.  Source: random(4), boot_id."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class Journal:
    """One session's.  Whoever has it open with its lock is in charge of the session's undoing."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path, self.fd = path, fd
        self.header: dict[str, Any] = {}
        self.pending: dict[int, Entry] = {}
        self._next = 0

    @classmethod
    def create(cls, session: str, header: dict[str, Any]) -> "Journal":
        """OSError: the folder cannot be written."""
        place = folder()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = place / f"{session}{SUFFIX}"
        journal = cls(path, _open_new(path))
        fcntl.flock(journal.fd, fcntl.LOCK_EX)
        journal.header = {"session": session, **header}
        journal._append(journal.header)
        if not path.exists():
            _name(journal.fd, path)
        return journal

    @classmethod
    def take(cls, path: Path) -> "Journal | None":
        """One that nobody minds any more; None: somebody does, or it is gone or unreadable."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        journal = cls(path, fd)
        if os.fstat(fd).st_nlink == 0 or not journal.read():
            os.close(fd)
            return None
        return journal

    def read(self) -> bool:
        """Take in what is written.  A last line that a crash cut off was not acted upon yet.

        False: there is no header, so nothing was done after it."""
        lines = os.pread(self.fd, os.fstat(self.fd).st_size, 0).split(b"\n")[:-1]
        self.pending.clear()
        for line in lines:
            with contextlib.suppress(ValueError):
                self._take_line(json.loads(line))
        return bool(self.header)

    def _take_line(self, said: dict[str, Any]) -> None:
        if "session" in said:
            self.header = said
        elif "undone" in said:
            self.pending.pop(said["undone"], None)
        else:
            self._next = said["number"] + 1
            self.pending[said["number"]] = Entry(kind=said["kind"], facts=said["with"])

    def _append(self, said: dict[str, Any]) -> None:
        os.write(self.fd, json.dumps(said).encode() + b"\n")
        os.fdatasync(self.fd) if hasattr(os, "fdatasync") else os.fsync(self.fd)

    def write(self, entry: Entry) -> int:
        """What is about to be done, on disk when this returns.  Returns its number."""
        number, self._next = self._next, self._next + 1
        self.pending[number] = entry
        self._append({"number": number, "kind": entry.kind, "with": entry.facts})
        return number

    def undone(self, number: int) -> None:
        del self.pending[number]
        self._append({"undone": number})

    def release(self) -> None:
        """Let it be as it is."""
        os.close(self.fd)

    def close(self) -> None:
        """Leave it to whoever else has it open, or to the next run, if anything is pending."""
        if not self.pending:
            self.path.unlink(missing_ok=True)
        os.close(self.fd)


def _open_new(path: Path) -> int:
    """A file that gets its name when its header is in it, where the file system has such:
    open(2), O_TMPFILE.  Elsewhere it has its name at once."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            flags = os.O_TMPFILE | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
            return os.open(path.parent, flags, 0o600)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _name(fd: int, path: Path) -> None:
    """Give a nameless file its name: linkat(2), AT_SYMLINK_FOLLOW, which Python uses with a
    directory's descriptor only."""
    place = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.link(f"/proc/self/fd/{fd}", path.name, dst_dir_fd=place, follow_symlinks=True)
    finally:
        os.close(place)


def paths() -> Iterator[Path]:
    """Of all sessions of this machine's user, the oldest first."""
    try:
        found = [(path.stat().st_mtime, path) for path in folder().glob(f"*{SUFFIX}")]
    except FileNotFoundError:
        return
    for _, path in sorted(found):
        yield path
