"""The log file: one line per event, UTC and elapsed time, secrets masked, for the owner's eyes.

Called by: __main__, once.
Owns: the root logger's handler.
Never: lets a token, password or bearer header through the mask.
"""

import logging
import os
import re
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from telepresence.errors import UsageError

LIMIT_BYTES = 20 * 2**20  # months of a session, or an hour of one that fails again and again
LINE_BYTES = 64  # time, level and name before each line

_SECRETS = re.compile(
    r"(?i)((?:token|password|passwd|secret|api[-_]?key)\\?[\"']?\s*[:=]\s*(?:(?:bearer|basic)\s+)?"
    r"|(?:bearer|basic)\s+)"
    r"(?:(\\?[\"'])(?:.*?)\2|[\"']?[^\s\"',;&]+)"
)


HIDDEN_CHARS = 4  # a shorter value would be found everywhere, and mask the log itself
_hidden: set[str] = set()


def hide(values: Iterable[str]) -> None:
    """Values that no line of the log may show, whatever stands before them."""
    for value in values:
        forms = (value, repr(value)[1:-1], *value.splitlines())
        _hidden.update(form for form in forms if len(form) >= HIDDEN_CHARS)


def mask(text: str) -> str:
    """Replace what is hidden, and what follows a word such as `token:` or `Bearer`, up to the end
    of its quotes."""
    for value in sorted(_hidden, key=len, reverse=True):
        text = text.replace(value, "[masked]")
    return _SECRETS.sub(r"\1\2[masked]\2", text)


class _Format(logging.Formatter):
    def __init__(self) -> None:
        super().__init__()
        self._began = time.time()

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        elapsed_s = record.created - self._began
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        lines = mask(text).splitlines() or [""]
        head = f"{when} {elapsed_s:8.3f} {record.levelname[0]} {record.name} | "
        return "\n".join(head + line for line in lines)


class _Bound(logging.Filter):
    """Lets everything through until the file is full, then only warnings and errors."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING or self._bytes < LIMIT_BYTES:
            self._bytes += LINE_BYTES + len(record.getMessage())
            if self._bytes >= LIMIT_BYTES and record.levelno < logging.WARNING:
                record.msg, record.args = "the log is full: from here on only warnings", ()
            return True
        return False


def log_place() -> str:
    """Where the log is, for whoever has to find it; "" before it is open."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Handler):
            return handler.place
    return ""


class _Handler(logging.StreamHandler[TextIO]):
    def __init__(self, stream: TextIO, place: str) -> None:
        super().__init__(stream)
        self.place = place


def open_log(path: str, *, verbose: bool, append: bool = False) -> None:
    """Send all loggers to a new file with mode 0600, or to stdout for `-`; or go on in an old one.

    UsageError: it cannot be written."""
    if path == "-":
        handler = _Handler(sys.stdout, "standard output")
    else:
        try:
            start = os.O_APPEND if append else os.O_TRUNC
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | start | os.O_CLOEXEC, 0o600)
            os.fchmod(fd, 0o600) if os.fstat(fd).st_mode & 0o170000 == 0o100000 else None
            place = str(Path(path).absolute())
            handler = _Handler(os.fdopen(fd, "w", buffering=1), place)
        except OSError as exc:
            raise UsageError(
                f"cannot write the log file {path}: {exc.strerror}",
                hint="name another with --logfile, or - for standard output",
            ) from exc
    handler.setFormatter(_Format())
    handler.addFilter(_Bound())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    for chatty in ("asyncio", "aiohttp", "urllib3", "kubernetes"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
