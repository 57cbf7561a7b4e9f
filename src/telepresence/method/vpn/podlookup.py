"""Ask the pod's own name servers, through the tunnel: DNS over TCP (RFC 7766).

Called by: resolver.py.
Owns: a few streams, which stay open between questions, and the questions under way.
Never: judges an answer; asks a server that the pod would not ask.
"""

import asyncio
import functools
import ipaddress
import logging
import socket
from collections.abc import Callable, Sequence

from telepresence.errors import TunnelError
from telepresence.fastpath import Tunnel
from telepresence.method.vpn.message import Labels, make_query

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0  # resolv.conf(5): a resolver's own, for one server
STREAMS = 8  # CoreDNS answers a stream's questions one by one, and closes an idle one after 10 s
_CONNECT, _DNS = 1, 53
Deliver = Callable[[bytes], None]
_REPLY_BYTES = {1: 10, 4: 22}  # of a SOCKS5 reply, by the type of its address


def connect_request(host: str, port: int) -> bytes:
    """RFC 1928 section 4, for an address."""
    address = ipaddress.ip_address(host)
    atyp = 1 if address.version == 4 else 4
    return bytes([5, _CONNECT, 0, atyp]) + address.packed + port.to_bytes(2, "big")


class Stream:
    """A connection to a name server of the pod; the first answer has the SOCKS5 reply in front.

    A question costs a send and a call: no task, and no turn of the loop of its own."""

    def __init__(self, tunnel: Tunnel, server: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = socket.socket(fileno=tunnel.open_stream(connect_request(server, _DNS)))
        self._sock.setblocking(False)
        self._loop.add_reader(self._sock, self._on_readable)
        self._buffer = b""
        self._replied = False
        self._next_id = 0
        self._progress_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.waiting: dict[int, Deliver] = {}
        self.is_open = True
        self.may_be_stale = False  # it has answered, and may have been closed since

    def ask(self, labels: Labels, kind: int, deliver: Deliver) -> None:
        """`deliver` is called once, later: with the answer, or b"" when the stream ends before."""
        number = self._next_id = (self._next_id + 1) & 0xFFFF
        query = make_query(labels, kind, number)
        try:
            sent = self._sock.send(len(query).to_bytes(2, "big") + query)
        except OSError:
            sent = 0
        if not self.waiting:
            self._progress_s = self._loop.time()
        self.waiting[number] = deliver
        if sent < len(query) + 2:  # a stream that is so far behind is of no use
            self._loop.call_soon(self.close)
        if self._timer is None:
            self._timer = self._loop.call_later(TIMEOUT_S, self._check)

    def _check(self) -> None:
        """One timer for all: a stream on which nothing moves while somebody waits is ended."""
        self._timer = None
        left_s = self._progress_s + TIMEOUT_S - self._loop.time()
        if self.waiting and left_s <= 0:
            log.warning("the pod's name server has not answered for %g s", TIMEOUT_S)
            self.may_be_stale = False
            self.close()
        elif self.waiting:
            self._timer = self._loop.call_later(left_s, self._check)

    def _on_readable(self) -> None:
        try:
            more = self._sock.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        if not more:
            self.close()
            return
        self._buffer += more
        if not self._replied and not self._take_reply():
            return
        while len(self._buffer) >= 2:
            size = int.from_bytes(self._buffer[:2], "big")
            if len(self._buffer) < size + 2:
                return
            answer, self._buffer = self._buffer[2 : size + 2], self._buffer[size + 2 :]
            self.may_be_stale = True
            deliver = self.waiting.pop(int.from_bytes(answer[:2], "big"), None)
            if deliver is not None:
                deliver(answer)
            self._progress_s = self._loop.time()

    def _take_reply(self) -> bool:
        if len(self._buffer) < 4 or len(self._buffer) < _REPLY_BYTES.get(self._buffer[3], 4):
            return False
        if self._buffer[1] != 0:
            log.warning("the pod's name server: SOCKS reply %d", self._buffer[1])
            self.close()
            return False
        self._buffer = self._buffer[_REPLY_BYTES[self._buffer[3]] :]
        self._replied = True
        return True

    def close(self) -> None:
        if not self.is_open:
            return
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()
        waiting, self.waiting = self.waiting, {}
        for deliver in waiting.values():
            deliver(b"")


class PodLookup:
    """`ask` gives the whole answer; TunnelError when none comes.  `begin` is its quick half."""

    def __init__(self, tunnel: Tunnel, servers: Sequence[str]) -> None:
        self._tunnel = tunnel
        self._servers = servers
        self._streams: dict[str, list[Stream]] = {server: [] for server in servers}

    def begin(self, labels: Labels, kind: int, deliver: Deliver) -> bool:
        """Ask the first server; whoever is told b"" has to ask().  False: not even begun."""
        try:
            self._stream(self._servers[0]).ask(labels, kind, deliver)
        except (IndexError, TunnelError):
            return False
        return True

    async def ask(self, labels: Labels, kind: int) -> bytes:
        loop = asyncio.get_running_loop()
        for server in self._servers:
            for _ in range(STREAMS + 1):  # idle ones may all have been closed meanwhile
                stream = self._stream(server)
                future: asyncio.Future[bytes] = loop.create_future()
                was_stale = stream.may_be_stale
                stream.ask(labels, kind, functools.partial(_settle, future))
                if answer := await future:
                    return answer
                if not (was_stale and stream.may_be_stale):
                    log.warning("the pod's name server %s cannot be asked", server)
                    break
        raise TunnelError("the pod's name servers do not answer")

    def _stream(self, server: str) -> Stream:
        """One that nobody waits for, a new one, or the least busy."""
        streams = self._streams[server]
        best = None
        for stream in streams:
            if stream.is_open and not stream.waiting:
                return stream
            if best is None or len(stream.waiting) < len(best.waiting):
                best = stream
        streams[:] = [each for each in streams if each.is_open]
        if best is not None and len(streams) >= STREAMS:
            return best
        try:
            streams.append(Stream(self._tunnel, server))
        except (OSError, ValueError) as exc:
            raise TunnelError("the tunnel is closed") from exc
        return streams[-1]

    def close(self) -> None:
        for streams in self._streams.values():
            while streams:
                streams.pop().close()


def _settle(future: "asyncio.Future[bytes]", answer: bytes) -> None:
    if not future.done():  # who asked may have gone
        future.set_result(answer)
