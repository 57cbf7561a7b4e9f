"""What the vpn-tcp sessions of this machine hold, so that two do not take the same.

Called by: method/vpn.
Owns: one file a session, locked for as long as the session lives.
Never: believes a file that nobody locks.
"""

import contextlib
import fcntl
import ipaddress
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from telepresence.errors import MethodError
from telepresence.method.vpn.firewall import Network
from telepresence.method.vpn.ownsockets import PORT_MARKS

# DSCP values for local use (RFC 2474 section 6, pool 2): a session's own questions carry one.
MARKS = tuple(range(43, 64, 4)) + tuple(range(3, 43, 4))


@dataclass(frozen=True, slots=True)
class Claim:
    """`mark` (ownsockets.py) is this session's; `bypass` are its own and those of the sessions
    before it."""

    mark: int
    bypass: tuple[int, ...]


def directory() -> Path:
    """One for all users: rules are the machine's.  Another network namespace is another machine."""
    if sys.platform != "linux":
        return Path("/tmp/telepresence-vpn")  # $TMPDIR is each user's own
    base = Path("/run/lock") if os.access("/run/lock", os.W_OK) else Path(tempfile.gettempdir())
    return base / f"telepresence-vpn-{os.stat('/proc/self/ns/net').st_ino}"  # noqa: PTH116


def own_claim(name: str, place: Path | None = None) -> Path:
    """The file that this process's session of that name locks."""
    return (place or directory()) / f"{os.getpid()}-{name}.json"


def _open(place: Path) -> Path:
    place.mkdir(mode=0o1777, exist_ok=True)
    with contextlib.suppress(PermissionError):
        place.chmod(0o1777)
    return place


def _living(place: Path) -> Iterator[dict[str, object]]:
    for path in place.glob("*.json"):
        with contextlib.suppress(OSError, ValueError), path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                yield json.loads(file.read())
            else:  # its session is gone
                path.unlink()


def _overlap(one: Sequence[Network], other: Sequence[Network]) -> Network | None:
    pairs = ((a, b) for a in one for b in other)
    return next((a for a, b in pairs if a.version == b.version and a.overlaps(b)), None)


def _next_mark(used: Sequence[int], *, with_ports: bool) -> int:
    """Any that is free; of ports one above all others', which pf's rules count on."""
    free = [mark for mark in PORT_MARKS if mark > max(used, default=0)] if with_ports else [
        mark for mark in MARKS if mark not in used]  # fmt: skip
    if not free:
        raise MethodError(
            "too many sessions with vpn-tcp on this machine", hint="end one, or use -m inject-tcp"
        )
    return free[0]


@contextlib.contextmanager
def claim(
    name: str, ranges: Sequence[Network], place: Path | None = None, *, with_ports: bool = False
) -> Iterator[Claim]:
    """MethodError names the session that holds a part of the ranges."""
    place = _open(place or directory())
    own = own_claim(name, place)
    with (place / "lock").open("a") as lock:
        with contextlib.suppress(PermissionError):
            Path(lock.name).chmod(0o666)
        fcntl.flock(lock, fcntl.LOCK_EX)
        others = list(_living(place))
        for other in others:
            theirs = [ipaddress.ip_network(text) for text in other["ranges"]]  # type: ignore[attr-defined] # ours
            if (both := _overlap(ranges, theirs)) is not None:
                raise MethodError(
                    f"{both} is redirected already, by the session {other['name']} (process "
                    f"{other['pid']})",
                    hint="end that session, keep the range out with --never-proxy, or use "
                    "--method inject-tcp",
                )
        used = [int(str(other["mark"])) for other in others]
        mark = _next_mark(used, with_ports=with_ports)
        file = own.open("w")
        fcntl.flock(file, fcntl.LOCK_EX)
        held = {"name": name, "pid": os.getpid(), "mark": mark, "ranges": list(map(str, ranges))}
        file.write(json.dumps(held))
        file.flush()
    try:
        yield Claim(mark, (mark, *used))
    finally:
        own.unlink(missing_ok=True)
        file.close()
