"""Copies of macOS's own programs that a preloaded library may enter.

System Integrity Protection takes DYLD_INSERT_LIBRARIES out of the environment of every program in
/bin, /sbin, /usr/bin and /usr/sbin: the sh of a script, the env of `#!/usr/bin/env`, curl.  What
lies elsewhere and bears no signature of Apple keeps it.  So a mirror of those folders stands in
their place in PATH: a thin slice of each program with an ad-hoc signature, scripts whose first line
names the mirror, and links to what cannot be copied.

Called by: inject.py on macOS.
Owns: the mirror's folder, which is kept for later sessions; what has not changed since is not
copied again.  That is why nothing undoes it.
Never: changes a program; copies one that runs with other rights than its user's.
"""

import contextlib
import dataclasses
import fcntl
import json
import logging
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from telepresence.errors import MethodError
from telepresence.method import macho
from telepresence.values import Launch

log = logging.getLogger(__name__)

MIRROR = b"TELEPRESENCE_SIP"  # tells the process where the copies are
PROTECTED = ("/bin", "/sbin", "/usr/bin", "/usr/sbin")
SHEBANG_MAX = 512  # xnu, bsd/sys/imgact.h: IMG_SHSIZE
SIGNED_AT_ONCE = (
    200  # paths of one codesign: far from ARG_MAX, few enough that one failure costs little
)
CODESIGN_TIMEOUT_S = 120.0
_FORMAT = 1  # of the index; another number makes every copy anew

_Stamp = list[int]


def default_folder() -> Path:
    """In the user's own cache folder, which macOS may empty: it is then made again."""
    return Path.home() / "Library" / "Caches" / "telepresence" / "sip"


def is_protected(path: str) -> bool:
    """By its folder alone; `path` is absolute."""
    return str(Path(os.path.normpath(path)).parent) in PROTECTED


@dataclass(frozen=True, slots=True)
class Mirror:
    """root: the system whose programs these are, `/` but in tests.  machine: as uname -m."""

    folder: Path
    root: Path = Path("/")
    machine: str = platform.machine()
    codesign: str | None = None  # None: the signature of macho.py alone

    def copy_of(self, path: str) -> str:
        """Where the mirror has it; other paths stay."""
        return self._inside(os.path.normpath(path)) if is_protected(path) else path

    def search_path(self, value: str) -> str:
        """PATH with the mirror's folders in place of the protected ones."""
        return ":".join(
            self._inside(os.path.normpath(folder))
            if folder and os.path.normpath(folder) in PROTECTED
            else folder
            for folder in value.split(":")
        )

    def launch(self, program: str, argv: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """The same program, so started that nothing protected runs first: a copy, or a script by
        the copy of its interpreter, with the words that the kernel would give it."""
        real = self._real(Path(program).absolute())
        if is_protected(real):
            return self._found(real), argv
        try:
            with (self.root / real[1:]).open("rb") as file:
                words = _shebang(file.read(SHEBANG_MAX))
        except OSError:
            return program, argv  # whoever starts it says why not
        if words is None or self._found(words[0]) == words[0]:
            return program, argv
        return self._found(words[0]), (*words, program, *argv[1:])

    def is_made(self) -> bool:
        """Whether an earlier session has; some copies may be out of date."""
        return bool(self._read_index())

    def refresh(self) -> int:
        """Make what is missing or has changed; returns how many copies and links that were.

        One process at a time does it.  OSError: the folder cannot be written."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            index = self._read_index()
            entries = dict(self._entries())
            changed = {
                path: stamp
                for path, stamp in entries.items()
                if index.get(path) != stamp or not os.path.lexists(self._inside(path))
            }
            if changed or len(index) != len(entries):
                self._renew(changed)
                self._remove(index.keys() - entries.keys())
                self._write_index(entries)
        log.info("%d of %d copies made in %s", len(changed), len(entries), self.folder)
        return len(changed)

    def _inside(self, path: str) -> str:
        return f"{self.folder}{path}"

    def _real(self, path: Path) -> str:
        """Without links, as seen from the root; outside of it: no protected path."""
        real = (self.root / path.relative_to("/")).resolve()
        return f"/{os.path.relpath(real, self.root.resolve())}"

    def _found(self, path: str) -> str:
        copy = self.copy_of(path)
        return copy if Path(copy).exists() else path

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read_index(self) -> dict[str, _Stamp]:
        """Empty if there is none, or one for another machine."""
        try:
            read = json.loads((self.folder / "index.json").read_text())
            head = [read["format"], read["machine"]]
            entries = read["entries"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return entries if head == [_FORMAT, self.machine] and isinstance(entries, dict) else {}

    def _write_index(self, entries: dict[str, _Stamp]) -> None:
        written = {"format": _FORMAT, "machine": self.machine, "entries": entries}
        new = self.folder / "index.new"
        new.write_text(json.dumps(written))
        new.replace(self.folder / "index.json")

    def _entries(self) -> Iterator[tuple[str, _Stamp]]:
        """Each file's path and what tells one version of it from the next."""
        for folder in PROTECTED:
            place = self.root / folder[1:]
            if place.is_symlink() or not place.is_dir():
                continue
            with os.scandir(place) as found:
                for entry in found:
                    status = entry.stat(follow_symlinks=False)
                    stamp = [status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode]
                    yield f"{folder}/{entry.name}", stamp

    def _renew(self, changed: dict[str, _Stamp]) -> None:
        """All are made and signed beside the mirror, then put in their places one by one."""
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="new-") as name:
            aside = Path(name)
            signed = [made for path in changed if (made := self._make(path, aside)) is not None]
            self._codesign(signed)
            for path in changed:
                place = Path(self._inside(path))
                place.parent.mkdir(parents=True, exist_ok=True)
                (aside / path[1:]).replace(place)

    def _make(self, path: str, aside: Path) -> Path | None:
        """A copy or a link at the same path below `aside`; returns what codesign may sign."""
        source, made = self.root / path[1:], aside / path[1:]
        made.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            made.symlink_to(self._link_target(path))
            return None
        try:
            copy = self._copy(source)
        except (OSError, macho.NotMachO) as exc:
            log.debug("%s stays protected: %s", path, exc)
            copy = None
        if copy is None:
            made.symlink_to(source)
            return None
        made.write_bytes(copy)
        made.chmod(0o755)
        return None if copy.startswith(b"#!") else made

    def _link_target(self, path: str) -> str:
        """A link between protected programs leads from copy to copy."""
        real = self._real(Path(path))
        return self._inside(real) if is_protected(real) else str(self.root / real[1:])

    def _copy(self, source: Path) -> bytes | None:
        """The bytes of a copy; None: a link does as well, or is all that can be had."""
        mode = source.stat().st_mode
        if not stat.S_ISREG(mode) or not mode & 0o111 or mode & (stat.S_ISUID | stat.S_ISGID):
            return None
        image = source.read_bytes()
        if macho.is_macho(image[:8]):
            return macho.sign(macho.thin(image, self.machine), source.name)
        return self._rewritten(image, source)

    def _rewritten(self, script: bytes, source: Path) -> bytes | None:
        words = _shebang(script)
        if words is None or not is_protected(words[0]):
            return None
        line, end, rest = script.partition(b"\n")
        new = b"#!" + line[2:].lstrip().replace(
            os.fsencode(words[0]), os.fsencode(self.copy_of(words[0])), 1
        )
        if len(new) >= SHEBANG_MAX or len(_shebang(new + end) or ()) != len(words):
            log.warning("%s stays protected: no first line can name %s", source, self.folder)
            return None
        return new + end + rest

    def _codesign(self, paths: list[Path]) -> None:
        """Apple's own tool has the last word; what it refuses keeps the signature it has."""
        if self.codesign is None:
            return
        for start in range(0, len(paths), SIGNED_AT_ONCE):
            some = paths[start : start + SIGNED_AT_ONCE]
            try:
                done = subprocess.run(
                    [self.codesign, "--force", "--sign", "-", *some],
                    stdin=subprocess.DEVNULL, capture_output=True, text=True,
                    timeout=CODESIGN_TIMEOUT_S, check=False,
                )  # fmt: skip
            except (OSError, subprocess.TimeoutExpired) as exc:
                log.warning("codesign: %s", exc)
                return
            if done.returncode != 0:
                log.warning("codesign ended with %d: %s", done.returncode, done.stderr.strip())

    def _remove(self, gone: set[str]) -> None:
        for path in gone:
            Path(self._inside(path)).unlink(missing_ok=True)


def _shebang(head: bytes) -> list[str] | None:
    """The words of a script's first line.

    xnu, bsd/kern/kern_exec.c, exec_shell_imgact: unlike Linux it splits them at every blank, and
    a `#` ends the line; without an end there is no script."""
    if not head.startswith(b"#!"):
        return None
    line, end, _ = re.sub(rb"[#\n]", b"\n", head[2:SHEBANG_MAX]).partition(b"\n")
    words = [os.fsdecode(word) for word in re.split(rb"[ \t]+", line) if word]
    return words if words and end else None


def system_mirror() -> Mirror | None:
    """This Mac's; None: this is none, and nothing is protected."""
    if sys.platform != "darwin":
        return None
    return Mirror(default_folder(), codesign=shutil.which("codesign"))


def unprotected(launch: Launch, mirror: Mirror) -> Launch:
    """The same launch, by copies.  MethodError: they cannot be made.

    The first time on a machine it takes as long as reading those programs and signing them."""
    try:
        mirror.refresh()
    except OSError as exc:
        raise MethodError(
            f"cannot copy the system's programs to {mirror.folder}: {exc.strerror}",
            hint="telepresence needs these copies for every program that macOS protects",
        ) from exc
    program, argv = mirror.launch(launch.program, launch.argv)
    environ = dict(launch.environ)
    for name, translated in ((b"PATH", mirror.search_path), (b"SHELL", mirror.copy_of)):
        if name in environ:
            environ[name] = os.fsencode(translated(os.fsdecode(environ[name])))
    environ[MIRROR] = os.fsencode(mirror.folder)
    return dataclasses.replace(launch, program=program, argv=argv, environ=environ)
