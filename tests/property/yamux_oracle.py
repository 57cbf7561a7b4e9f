"""A small yamux peer in Python, written from the specification alone.

Called by: test_mux.py and tests/sockets/.
Owns: nothing.
Never: shares a line with the C codec that it judges.
"""

import struct
from typing import NamedTuple

DATA, WINDOW, PING, GOAWAY, ACK = 0, 1, 2, 3, 16
SYN, SYNACK, FIN, RST = 1, 2, 4, 8
INITIAL_WINDOW = 256 * 1024


class Frame(NamedTuple):
    type: int
    flags: int
    stream: int
    length: int
    payload: bytes = b""


def make(type_: int, flags: int, stream: int, length: int, payload: bytes = b"") -> bytes:
    return struct.pack("!BBHII", 0, type_, flags, stream, length) + payload


def data(stream: int, payload: bytes, flags: int = 0) -> bytes:
    return make(DATA, flags, stream, len(payload), payload)


def take(buffer: bytes) -> tuple[list[Frame], bytes]:
    """All complete frames, and the rest."""
    frames = []
    while len(buffer) >= 12:
        version, type_, flags, stream, length = struct.unpack_from("!BBHII", buffer)
        assert version == 0
        size = 12 + (length if type_ == DATA else 0)
        if len(buffer) < size:
            break
        frames.append(Frame(type_, flags, stream, length, buffer[12:size]))
        buffer = buffer[size:]
    return frames, buffer
