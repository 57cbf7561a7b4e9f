"""Ask the pod's own name servers, through the tunnel: DNS over TCP (RFC 7766).

Called by: resolver.py.
Owns: a few streams, which stay open between questions, and the questions under way.
Never: judges an answer; asks a server that the pod would not ask.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Sequence

from telepresence.errors import TunnelError
from telepresence.fastpath import Tunnel
from telepresence.method.vpn.message import Labels, make_query

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0  # resolv.conf(5): a resolver's own, for one server
STREAMS = 8  # CoreDNS answers a stream's questions one by one, and closes an idle one after 10 s
_CONNECT, _DNS = 1, 53
_REPLY_BYTES = {1: 10, 4: 22}  # of a SOCKS5 reply, by the type of its address


def connect_request(host: str, port: int) -> bytes:
    """RFC 1928 section 4, for an address."""
    address = ipaddress.ip_address(host)
    atyp = 1 if address.version == 4 else 4
    return bytes([5, _CONNECT, 0, atyp]) + address.packed + port.to_bytes(2, "big")


class Stream:
    """A connection to a name server of the pod; the first answer has the SOCKS5 reply in front.

    A question costs a send and a callback: no task, and no turn of the loop of its own."""

    def __init__(self, tunnel: Tunnel, server: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = socket.socket(fileno=tunnel.open_stream(connect_request(server, _DNS)))
        self._sock.setblocking(False)
        self._loop.add_reader(self._sock, self._on_readable)
        self._buffer = b""
        self._replied = False
        self._next_id = 0
        self.waiting: dict[int, asyncio.Future[bytes]] = {}
        self.is_open = True
        self.has_answered = False

    def ask(self, labels: Labels, kind: int) -> "tuple[int, asyncio.Future[bytes]]":
        """The future ends with EOFError when the stream does."""
        number = self._next_id = (self._next_id + 1) & 0xFFFF
        query = make_query(labels, kind, number)
        future = self.waiting[number] = self._loop.create_future()
        try:
            sent = self._sock.send(len(query).to_bytes(2, "big") + query)
            if sent < len(query) + 2:  # a stream that is so far behind is of no use
                self.close()
        except OSError:
            self.close()
        return number, future

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
            self.has_answered = True
            future = self.waiting.pop(int.from_bytes(answer[:2], "big"), None)
            if future is not None and not future.done():
                future.set_result(answer)

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
        self._loop.remove_reader(self._sock)
        self._sock.close()
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(EOFError("end of file"))
        self.waiting.clear()


class PodLookup:
    """`ask` gives the whole answer; TunnelError when none comes."""

    def __init__(self, tunnel: Tunnel, servers: Sequence[str]) -> None:
        self._tunnel = tunnel
        self._servers = servers
        self._streams: dict[str, list[Stream]] = {server: [] for server in servers}

    async def ask(self, labels: Labels, kind: int) -> bytes:
        for server in self._servers:
            for _ in range(STREAMS + 1):  # idle ones may all have been closed meanwhile
                stream = self._stream(server)
                was_used = stream.has_answered
                try:
                    return await self._answer(stream, labels, kind)
                except (EOFError, TimeoutError) as exc:
                    if isinstance(exc, TimeoutError) or not was_used:
                        log.warning("the pod's name server %s: %r", server, exc)
                        break
        raise TunnelError("the pod's name servers do not answer")

    async def _answer(self, stream: Stream, labels: Labels, kind: int) -> bytes:
        number, future = stream.ask(labels, kind)
        timer = asyncio.get_running_loop().call_later(TIMEOUT_S, _give_up, future)
        try:
            return await future
        finally:
            timer.cancel()
            stream.waiting.pop(number, None)

    def _stream(self, server: str) -> Stream:
        """One that nobody waits for, a new one, or the least busy."""
        streams = [each for each in self._streams[server] if each.is_open]
        self._streams[server] = streams
        best = min(streams, key=lambda each: len(each.waiting), default=None)
        if best is not None and (not best.waiting or len(streams) >= STREAMS):
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


def _give_up(future: "asyncio.Future[bytes]") -> None:
    if not future.done():
        future.set_exception(TimeoutError("no answer"))
