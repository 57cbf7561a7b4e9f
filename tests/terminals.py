"""A program on a terminal of its own, as a person would use it.

Called by: the tests of prompts, terminals and sessions.
Owns: the terminal and the program, until the context ends.
Never: waits longer than DEADLINE_S for a word.
"""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

DEADLINE_S = 40.0
# ECMA-48, control sequences; and xterm's own that end with BEL.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][0-9A-B]"
                      r"|\x1b[=>]")  # fmt: skip


class Screen:
    """What is typed and what is seen."""

    def __init__(self, fd: int, process: "subprocess.Popen[bytes]") -> None:
        self._fd, self.process = fd, process
        self.seen = ""  # since the last wait
        self._raw = b""

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def foreground(self) -> int:
        """The process group that keys for signals are for."""
        return os.tcgetpgrp(self._fd)

    def settings(self) -> list[object]:
        return termios.tcgetattr(self._fd)

    def wait(self, pattern: str, deadline_s: float = DEADLINE_S) -> str:
        """All up to what fits the pattern, without escapes."""
        deadline = time.monotonic() + deadline_s
        while True:
            text = _ESCAPES.sub("", self._raw.decode(errors="replace"))
            if found := re.search(pattern, text):
                self.seen = text[: found.end()]
                self._raw = text[found.end() :].encode()
                return self.seen
            left_s = deadline - time.monotonic()
            assert left_s > 0, f"no {pattern!r} in {text!r}"
            if select.select([self._fd], [], [], left_s)[0]:
                try:
                    data = os.read(self._fd, 65536)
                except OSError as exc:  # EIO: nobody has the terminal open any more
                    raise AssertionError(f"it ended: {text!r}") from exc
                self._raw += data


@contextlib.contextmanager
def terminal(
    argv: Sequence[str], env: Mapping[str, str], cwd: Path | None = None
) -> Iterator[Screen]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        argv, env=dict(env), cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(theirs)
    screen = Screen(ours, process)
    screen.resize(30, 200)
    try:
        yield screen
    finally:
        with contextlib.suppress(OSError):
            os.fstat(ours)
            os.close(ours)  # as a window is closed: SIGHUP
        try:
            process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
