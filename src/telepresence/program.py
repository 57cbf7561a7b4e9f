"""What kind of program a file is: can a preloaded library enter it?

Called by: cluster.observe.
Owns: nothing.
Never: runs the file, or believes more of it than its headers say.
"""

import os
import shutil
import stat
import struct
import subprocess
import sys
from pathlib import Path

HEAD_BYTES = 1 << 16  # program headers and notes are at the front of every file that links
INTERPRETERS_MAX = 4  # Linux, fs/exec.c: a script of a script of a script
SUPERVISOR = "telepresence-supervisor"  # lies beside the shim
CHECK_TIMEOUT_S = 5.0

# They speak ICMP, or measure hops that a connection through the pod does not have.  Telepresence 1
# had dig, host and nslookup among them: their datagrams are carried now.
NEED_ICMP = ("ping", "ping4", "ping6", "traceroute", "traceroute6", "tracepath", "mtr")
NARROW = "a 32-bit program"  # on a 64-bit machine: neither engine can carry its connections

_PT_INTERP, _PT_NOTE = 3, 4  # elf(5)


def why_closed(path: str) -> str:
    """Why the dynamic linker would not preload anything into it, in words that follow "is"; "" if
    it would, or if nobody can tell."""
    for _ in range(INTERPRETERS_MAX):
        try:
            status, head = Path(path).stat(), _head(path)
        except OSError:
            return ""
        if head[:2] != b"#!":
            return _why_privileged(path, status) or _why_foreign(head)
        interpreter = _interpreter(head)
        if interpreter is None:
            return ""
        path = interpreter
    return ""


def _head(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(HEAD_BYTES)


def _interpreter(head: bytes) -> str | None:
    """Of a script, through /usr/bin/env."""
    words = os.fsdecode(head.split(b"\n", 1)[0][2:]).split()
    if words[:1] and Path(words[0]).name == "env":
        named = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        return shutil.which(named[0]) if named else None
    return words[0] if words else None


def _why_privileged(path: str, status: os.stat_result) -> str:
    """ld.so(8), secure-execution mode."""
    if status.st_mode & stat.S_ISUID and status.st_uid != os.geteuid():
        return "a setuid program"
    if status.st_mode & stat.S_ISGID and status.st_gid != os.getegid():
        return "a setgid program"
    if sys.platform != "linux":
        return ""
    try:
        os.getxattr(path, "security.capability")
    except OSError:
        return ""
    return "a program with capabilities of its own"


def _why_foreign(head: bytes) -> str:
    """Static, Go, or for another word size than ours.  elf(5)."""
    if head[:4] != b"\x7fELF" or len(head) < 64:
        return ""
    is_wide = struct.calcsize("P") == 8
    if head[4] != (2 if is_wide else 1):
        return NARROW if is_wide else "a 64-bit program"
    if head[4] != 2:
        return ""
    order = "<" if head[5] == 1 else ">"
    (offset,) = struct.unpack_from(f"{order}Q", head, 32)
    size, count = struct.unpack_from(f"{order}HH", head, 54)
    kinds: set[int] = set()
    for at in range(offset, min(offset + size * count, len(head) - 56 + 1), size or 56):
        kind, _, place, _, _, length = struct.unpack_from(f"{order}IIQQQQ", head, at)
        if kind == _PT_NOTE and b"\4\0\0\0Go\0\0" in head[place : place + length]:
            return "a Go program"
        kinds.add(kind)
    return "" if _PT_INTERP in kinds else "a static program"


def why_no_supervisor(supervisor: Path) -> str:
    """What keeps the supervisor from working on this machine; "" if nothing does."""
    if sys.platform != "linux":
        return "this system has no seccomp"
    try:
        done = subprocess.run(
            [supervisor, "--check"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CHECK_TIMEOUT_S,
            check=False,
        )
    except OSError as exc:
        return f"{supervisor}: {exc.strerror}"
    except subprocess.TimeoutExpired:
        return f"{supervisor} --check does not end"
    if done.returncode == 0:
        return ""
    return (
        done.stdout or done.stderr
    ).strip() or f"{supervisor} --check ends with {done.returncode}"
