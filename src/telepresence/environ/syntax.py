"""Write variables down in the syntax of whoever will read them: variables in, text out.

Called by: environ/files.py.
Owns: what each syntax can hold.
Never: touches a file; bends a value so that it fits.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

Environ = dict[bytes, bytes]
_Line = Callable[[bytes, bytes], bytes | None]
_DOCKER_LINE = 1 << 16  # Go, bufio.MaxScanTokenSize: a longer line spoils the whole file
_IDENTIFIER = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file's text, and the names of what it could not hold."""

    text: bytes = field(repr=False)
    left_out: tuple[bytes, ...]


def _compose(key: bytes, value: bytes) -> bytes | None:
    """Docker Compose, "Interpolation: .env file syntax"; the plain form is docker run's as well.

    Its readers differ on escapes, so whatever would need one is left out."""
    if not _is_utf8(value) or b"\n" in value or b"\r" in value or b"#" in key or key != key.strip():
        return None
    if b"${" in value:  # Compose 1 replaces it within '' as well; without the braces it does not
        return None
    is_plain = value == value.strip() and not re.match(rb"""["'`]|#""", value)
    if is_plain and b"$" not in value and not re.search(rb"\s#", value):
        return key + b"=" + value
    if b"'" in value or b"\\" in value:
        return None
    return key + b"='" + value + b"'"


def _docker(key: bytes, value: bytes) -> bytes | None:
    """docker run --env-file: each line as it is, no quotes; but not its carriage return."""
    if not _is_utf8(value) or b"\n" in value or value.endswith(b"\r"):
        return None
    if key.startswith(b"#") or re.search(rb"\s", key):
        return None
    line = key + b"=" + value
    return line if len(line) < _DOCKER_LINE else None


def _sh(key: bytes, value: bytes) -> bytes | None:
    """POSIX, Shell Command Language, 2.2.2."""
    if not _IDENTIFIER.fullmatch(key):
        return None
    return b"export " + key + b"='" + value.replace(b"'", b"'\\''") + b"'"


def _fish(key: bytes, value: bytes) -> bytes | None:
    """fish, "The fish language: Quotes": within '', only \\' and \\\\ mean something."""
    if not _IDENTIFIER.fullmatch(key):
        return None
    return b"set -gx " + key + b" '" + value.replace(b"\\", b"\\\\").replace(b"'", b"\\'") + b"'"


def _csh(key: bytes, value: bytes) -> bytes | None:
    """tcsh(1), "Lexical structure": a newline or ! wants a backslash even within ''.

    It reads text of the locale, not bytes, and a line of its own length at most."""
    if not _IDENTIFIER.fullmatch(key) or not _is_utf8(value):
        return None
    quoted = value.replace(b"'", b"'\\''").replace(b"!", b"\\!").replace(b"\n", b"\\\n")
    return b"setenv " + key + b" '" + quoted + b"'"


_LINES: dict[str, _Line] = {
    "compose": _compose,
    "docker": _docker,
    "sh": _sh,
    "fish": _fish,
    "csh": _csh,
}
SYNTAXES = tuple(_LINES)
_BY_SUFFIX = {"sh": "sh", "bash": "sh", "zsh": "sh", "fish": "fish", "csh": "csh", "tcsh": "csh"}


def syntax_of(path: str, chosen: str | None) -> str:
    """--env-syntax, or what the file's suffix says, or Docker Compose's."""
    return chosen or _BY_SUFFIX.get(path.rpartition(".")[2], "compose")


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def write_lines(environ: Environ, syntax: str) -> Written:
    lines, left_out = [], []
    for key, value in sorted(environ.items()):
        line = _LINES[syntax](key, value)
        if line is None:
            left_out.append(key)
        else:
            lines.append(line + b"\n")
    return Written(text=b"".join(lines), left_out=tuple(left_out))


def write_json(environ: Environ) -> Written:
    """Telepresence 1's form: sorted, indented by 4.  JSON is text: no other bytes."""
    held = {key: value for key, value in environ.items() if _is_utf8(key) and _is_utf8(value)}
    shown = {key.decode(): value.decode() for key, value in held.items()}
    text = json.dumps(shown, sort_keys=True, indent=4) + "\n"
    return Written(text=text.encode(), left_out=tuple(sorted(environ.keys() - held.keys())))
