"""SFTP packet by packet, and the program between sshfs and the tunnel among its neighbours.

Called by: the tests of this folder.
Owns: the processes that a scene starts, until its close().
Never: an sshfs, a pod or a tunnel.
"""

import socket
import struct
import subprocess
from pathlib import Path

from telepresence.agent.services import SFTP_SERVER
from telepresence.volumes.sshfs import RELAY

DEADLINE_S = 10.0
OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, OPENDIR, READDIR, STAT = 3, 4, 5, 6, 7, 8, 11, 12, 17
STATUS, HANDLE, DATA, NAME, ATTRS = 101, 102, 103, 104, 105
NO_CONNECTION = 6


def text(value: bytes) -> bytes:
    return struct.pack("!I", len(value)) + value


def status(body: bytes) -> int:
    return int(struct.unpack_from("!I", body)[0])


class Wire:
    """One end of SFTP, packet by packet."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self._next = sock, 100
        sock.settimeout(DEADLINE_S)

    def put(self, kind: int, number: int, body: bytes) -> None:
        self.sock.sendall(struct.pack("!IBI", len(body) + 5, kind, number) + body)

    def ask(self, kind: int, body: bytes) -> int:
        self._next += 1
        self.put(kind, self._next, body)
        return self._next

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            assert more, "end of file"
            data += more
        return data

    def take(self) -> tuple[int, int, bytes]:
        length, kind, number = struct.unpack("!IBI", self._exactly(9))
        return kind, number, self._exactly(length - 5)

    def call(self, kind: int, body: bytes) -> tuple[int, bytes]:
        number = self.ask(kind, body)
        answer, answered, said = self.take()
        assert answered == number
        return answer, said

    def open(self, path: bytes, flags: int = 1) -> bytes:
        kind, body = self.call(OPEN, text(path) + struct.pack("!II", flags, 0))
        assert kind == HANDLE, body
        return body

    def names(self, path: bytes) -> dict[bytes, int]:
        """The listing, each name with the mode that it is shown with."""
        kind, handle = self.call(OPENDIR, text(path))
        assert kind == HANDLE
        found: dict[bytes, int] = {}
        while True:
            kind, body = self.call(READDIR, handle)
            if kind == STATUS:
                break
            at = 4
            for _ in range(status(body)):
                size = status(body[at:])
                name, at = body[at + 4 : at + 4 + size], at + 4 + size
                at += 4 + status(body[at:])
                assert status(body[at:]) == 0xF  # OpenSSH's: size, ids, mode, times
                found[name] = status(body[at + 20 :])
                at += 32
        self.call(CLOSE, handle)
        return found


class Scene:
    """The relay, with its client's end here, and its far end here or at a server."""

    def __init__(self, *volumes: Path, silence_s: float = 10, server: bool = True) -> None:
        near, relay_near = socket.socketpair()
        far, relay_far = socket.socketpair()
        with relay_near, relay_far:
            words = [str(RELAY), str(silence_s), *map(str, volumes)]
            self.relay = subprocess.Popen(words, stdin=relay_near, stdout=relay_far)
        self.client, self.far = Wire(near), Wire(far)
        self.server: subprocess.Popen[bytes] | None = None
        if server:
            self.server = subprocess.Popen([SFTP_SERVER], stdin=far, stdout=far)
            far.close()
            near.sendall(struct.pack("!IBI", 5, 1, 3))
            length, kind, _ = struct.unpack("!IBI", self.client._exactly(9))
            assert kind == 2
            self.client._exactly(length - 5)

    def freeze(self) -> None:
        assert self.server is not None
        self.server.send_signal(19)  # SIGSTOP

    def thaw(self) -> None:
        assert self.server is not None
        self.server.send_signal(18)  # SIGCONT

    def close(self) -> None:
        self.client.sock.close()
        self.far.sock.close()
        assert self.relay.wait(DEADLINE_S) == 0
        if self.server is not None:
            self.thaw()
            self.server.wait(DEADLINE_S)


def read(client: Wire, path: Path) -> bytes:
    handle = client.open(bytes(path))
    data = b""
    while True:
        kind, body = client.call(READ, handle + struct.pack("!QI", len(data), 1000))
        if kind == STATUS:
            break
        data += body[4:]
    kind, body = client.call(CLOSE, handle)
    assert (kind, status(body)) == (STATUS, 0)
    return data
