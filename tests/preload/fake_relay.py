"""The UDP half of the fake pod: datagrams with SOCKS headers in, plain ones out, and back.

With a target of its own a relay knows no headers.

Called by: fake_pod.py, one for each association.
Owns: its sockets and its thread, until it is closed.
Never: sends to anything but loopback.
"""

import contextlib
import selectors
import socket
import struct
import threading
from types import TracebackType

Target = tuple[str, int]
HEAD_BYTES = 10  # and no payload; IPv4


def header(target: Target) -> bytes:
    """RFC 1928 section 7, without fragments."""
    host, port = target
    family, atyp = (socket.AF_INET6, 4) if ":" in host else (socket.AF_INET, 1)
    return bytes([0, 0, 0, atyp]) + socket.inet_pton(family, host) + struct.pack("!H", port)


def split(data: bytes) -> tuple[Target, bytes]:
    family, size = (socket.AF_INET6, 16) if data[3] == 4 else (socket.AF_INET, 4)
    (port,) = struct.unpack("!H", data[4 + size : 6 + size])
    return (socket.inet_ntop(family, data[4 : 4 + size]), port), data[6 + size :]


class DatagramRelay:
    """`network`: where a target really is on loopback; datagrams to others are dropped."""

    def __init__(self, network: dict[Target, Target], only: Target | None = None) -> None:
        self._network = network
        self._only = only
        self._door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._door.bind(("127.0.0.1", 0))
        self.address: Target = self._door.getsockname()
        self._far: dict[Target, socket.socket] = {}
        self._client: Target | None = None
        self._wake, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._door, selectors.EVENT_READ, None)
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._wake:
                    return
                with contextlib.suppress(ConnectionRefusedError):
                    self._pass_on(key)

    def _pass_on(self, key: selectors.SelectorKey) -> None:
        if key.data is None:
            data, self._client = self._door.recvfrom(65536)
            if self._only is not None:
                target, payload = self._only, data
            elif len(data) < HEAD_BYTES:
                return
            else:
                target, payload = split(data)
            if target in self._network:
                self._far_end(target).send(payload)
        elif self._client is not None:
            assert isinstance(key.fileobj, socket.socket)
            payload = key.fileobj.recv(65536)
            head = b"" if self._only else header(key.data)
            self._door.sendto(head + payload, self._client)

    def _far_end(self, target: Target) -> socket.socket:
        if target not in self._far:
            far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            far.connect(self._network[target])
            self._selector.register(far, selectors.EVENT_READ, target)
            self._far[target] = far
        return self._far[target]

    def __enter__(self) -> "DatagramRelay":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._waker.close()
        self._thread.join()
        self._selector.close()
        for sock in (self._door, self._wake, *self._far.values()):
            sock.close()
