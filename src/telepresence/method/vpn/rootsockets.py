"""Sockets that only root can make, and their way to the command, which is not root.

Called by: privileged.py, which makes and hands over; firewall.py, which takes.
Owns: nothing once they are handed over.
Never: imports anything of ours: half of it runs as root.

    raw4, raw6    IPPROTO_RAW with a mark: packets with a source of somebody else's
    log           nfnetlink_log: the packets of one group of NFLOG rules
    udp4, udp6    IP_TRANSPARENT, bound to loopback: where TPROXY rules lead
    ask4, ask6    with pf alone: root's process answers there (pfrules.py)

Sources: raw(7), ip(7), unix(7) SCM_RIGHTS, linux/netfilter/nfnetlink_log.h.
"""

import contextlib
import os
import socket
import struct
from collections.abc import Iterator

WORD = b"SOCKETS"

SO_MARK = 36  # asm-generic/socket.h; Python's socket has no name for these
IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75  # linux/in.h, linux/in6.h
AF_NETLINK, NETLINK_NETFILTER = 16, 12
SO_RCVBUFFORCE = 33

_CONFIG = 4 << 8 | 1  # NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG
_REQUEST_ACK = 5
_COMMAND, _MODE, _THRESHOLD = 1, 2, 5  # enum nfulnl_attr_config
_BIND, _COPY_PACKET = 1, 2
COPIED = 256  # both headers with all their options
LOG_BUFFER = 4 * 1024 * 1024  # some 5,000 connections in one instant
GROUPS = range(1024, 65536)  # of NFLOG; the small ones are other programs'


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _ask(log: socket.socket, group: int, attributes: bytes) -> None:
    body = struct.pack("=BB", 0, 0) + struct.pack("!H", group) + attributes
    log.send(struct.pack("=IHHII", 16 + len(body), _CONFIG, _REQUEST_ACK, 1, 0) + body)
    error = -int(struct.unpack_from("=i", log.recv(4096), 16)[0])
    if error:
        raise OSError(error, os.strerror(error))


def open_log(first: int) -> tuple[socket.socket, int]:
    """And its group, the first that nobody has from this one on."""
    log = socket.socket(AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    try:
        with contextlib.suppress(PermissionError):  # root of a container: the usual size
            log.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, LOG_BUFFER)
        for group in (GROUPS[(first + n) % len(GROUPS)] for n in range(64)):
            with contextlib.suppress(PermissionError, BlockingIOError):  # EBUSY: another one's
                _ask(log, group, _attribute(_COMMAND, bytes([_BIND])))
                _ask(log, group, _attribute(_MODE, struct.pack("!IBB", COPIED, _COPY_PACKET, 0))
                     + _attribute(_THRESHOLD, struct.pack("!I", 1)))  # fmt: skip
                return log, group
    except BaseException:
        log.close()
        raise
    log.close()
    raise OSError("no free group of nfnetlink_log")


def _open_raw(family: int, mark: int) -> socket.socket:
    raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
    raw.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
    return raw


def _open_datagrams(family: int, host: str) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
    sock.bind((host, 0))
    return sock


def open_all(number: int, mark: int) -> dict[str, tuple[socket.socket, int]]:
    """Each with its port or group, or 0.  What this kernel has not is left out."""
    made: dict[str, tuple[socket.socket, int]] = {}
    for version, family, host in ((4, socket.AF_INET, "127.0.0.1"), (6, socket.AF_INET6, "::1")):
        with contextlib.suppress(OSError):
            made[f"raw{version}"] = _open_raw(family, mark), 0
            datagrams = _open_datagrams(family, host)
            made[f"udp{version}"] = datagrams, datagrams.getsockname()[1]
    with contextlib.suppress(OSError):
        made["log"] = open_log(number)
    return made


def open_pairs() -> tuple[dict[str, tuple[socket.socket, int]], list[socket.socket]]:
    """What the command asks at, and the ends where the questions come."""
    pairs = {name: socket.socketpair() for name in ("ask4", "ask6")}
    return {name: (theirs, 0) for name, (theirs, _) in pairs.items()}, [
        ours for _, ours in pairs.values()
    ]


def hand_over(channel: socket.socket, made: dict[str, tuple[socket.socket, int]]) -> None:
    """Say their names, with the sockets beside; they are closed here."""
    line = b" ".join((WORD, *(name.encode() for name in made))) + b"\n"
    socket.send_fds(channel, [line], [sock.fileno() for sock, _ in made.values()])
    for sock, _ in made.values():
        sock.close()


def take_over(channel: socket.socket) -> Iterator[dict[str, socket.socket] | None]:
    """next() when the channel is readable: None until the names have come.

    What comes before is not for us: sudo's wrappers may say things first.
    ConnectionResetError: the other side is gone."""
    said, fds = b"", list[int]()
    while True:
        data, new, _, _ = socket.recv_fds(channel, 4096, 8)
        said, fds = said + data, fds + new
        names = next((line for line in said.split(b"\n")[:-1] if line.startswith(WORD)), None)
        if names is not None:
            words = names.decode().split()[1:]
            yield {name: socket.socket(fileno=fd) for name, fd in zip(words, fds, strict=True)}
            return
        if not data:
            raise ConnectionResetError("it ended")
        yield None
