"""The other end of a tunnel, made of the oracle instead of an engine.

Called by: tests that say what an engine of ours would not.
Owns: its carrier, until close().
Never: a mock: the bytes go through real sockets to a real engine.
"""

import socket
import sys
from pathlib import Path
from typing import Literal

from telepresence.fastpath import Engine, Tunnel
from wires import connected_pair

sys.path.append(str(Path(__file__).parent.parent / "property"))
import yamux_oracle as yamux

__all__ = ["Peer", "payload", "read_some", "yamux"]


class Peer:
    """The oracle at the other end of a tunnel of ours, which is an agent's or a laptop's."""

    def __init__(self, engine: Engine, role: Literal["agent", "laptop"] = "agent") -> None:
        self.tunnel = Tunnel(engine, role=role)
        self.sock, far = connected_pair()
        self.tunnel.attach(far.detach(), 0)
        self._rest = b""
        self._found: list[yamux.Frame] = []

    def _next(self, stream: int) -> yamux.Frame:
        """The next frame of a stream; those of others stay."""
        while True:
            for number, frame in enumerate(self._found):
                if frame.stream == stream and frame.type in (yamux.DATA, yamux.WINDOW):
                    return self._found.pop(number)
            self._rest += read_some(self.sock)
            frames, self._rest = yamux.take(self._rest)
            self._found += frames

    def frames(self, stream: int) -> list[yamux.Frame]:
        """All frames of a stream, up to its FIN or RST."""
        found = [self._next(stream)]
        while not found[-1].flags & (yamux.FIN | yamux.RST):
            found.append(self._next(stream))
        return found

    def more(self, stream: int) -> bytes:
        """The payload of a stream's next frame that has one; EOFError: the stream has ended."""
        while not (frame := self._next(stream)).payload:
            if frame.flags & (yamux.FIN | yamux.RST):
                raise EOFError
        return frame.payload

    def close(self) -> None:
        self.sock.close()
        self.tunnel.close()


def read_some(sock: socket.socket) -> bytes:
    data = sock.recv(65_536)
    if not data:
        raise EOFError
    return data


def payload(frames: list[yamux.Frame]) -> bytes:
    return b"".join(f.payload for f in frames)
