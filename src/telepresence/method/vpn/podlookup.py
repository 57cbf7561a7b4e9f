"""Ask the pod's own name servers, through the tunnel: DNS over TCP (RFC 7766).

Called by: resolver.py.
Owns: a few idle streams, so that a question takes one round trip.
Never: judges an answer; asks a server that the pod would not ask.
"""

import asyncio
import ipaddress
import logging
import random
import socket
from collections.abc import Coroutine, Sequence
from typing import Any

from telepresence.errors import TunnelError
from telepresence.fastpath import Tunnel
from telepresence.method.vpn.message import Labels, make_query

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0  # resolv.conf(5): a resolver's own, for one server
IDLE_STREAMS = 8  # CoreDNS closes an idle connection after 10 s; a new one costs nothing but itself
_CONNECT, _DNS = 1, 53


def connect_request(host: str, port: int) -> bytes:
    """RFC 1928 section 4, for an address."""
    address = ipaddress.ip_address(host)
    atyp = 1 if address.version == 4 else 4
    return bytes([5, _CONNECT, 0, atyp]) + address.packed + port.to_bytes(2, "big")


class Stream:
    """A connection to the pod's name server; the first answer has the SOCKS5 reply in front."""

    def __init__(self, tunnel: Tunnel, server: str, first: bytes) -> None:
        fd = tunnel.open_stream(connect_request(server, _DNS) + first)
        self._sock = socket.socket(fileno=fd)
        self._buffer = b""
        self._replied = False

    async def exchange(self, message: bytes) -> bytes:
        await asyncio.get_running_loop().sock_sendall(self._sock, message)
        return await self.answer()

    async def answer(self) -> bytes:
        """EOFError: the server has gone, or refused."""
        if not self._replied:
            head = await self._take(4)
            if head[1] != 0:
                raise EOFError(f"SOCKS reply {head[1]}")
            await self._take({1: 4, 4: 16}[head[3]] + 2)
            self._replied = True
        size = int.from_bytes(await self._take(2), "big")
        return await self._take(size)

    async def _take(self, size: int) -> bytes:
        loop = asyncio.get_running_loop()
        while len(self._buffer) < size:
            more = await loop.sock_recv(self._sock, 65_536)
            if not more:
                raise EOFError("end of file")
            self._buffer += more
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def close(self) -> None:
        self._sock.close()


class PodLookup:
    """`ask` gives the whole answer; TunnelError when none comes."""

    def __init__(self, tunnel: Tunnel, servers: Sequence[str]) -> None:
        self._tunnel = tunnel
        self._servers = servers
        self._idle: list[Stream] = []

    async def ask(self, labels: Labels, kind: int) -> bytes:
        query = make_query(labels, kind, random.getrandbits(16))
        message = len(query).to_bytes(2, "big") + query
        try:
            async with asyncio.timeout(TIMEOUT_S * len(self._servers)):
                while self._idle:
                    stream = self._idle.pop()
                    try:
                        return await self._use(stream, stream.exchange(message))
                    except (OSError, EOFError):
                        continue  # it has been idle for too long
                for server in self._servers:
                    try:
                        stream = Stream(self._tunnel, server, message)
                        return await self._use(stream, stream.answer())
                    except (OSError, EOFError) as exc:
                        log.warning("the pod's name server %s: %r", server, exc)
        except (TimeoutError, ValueError) as exc:
            raise TunnelError("the pod's name servers do not answer") from exc
        raise TunnelError("no name server of the pod can be reached")

    async def _use(self, stream: Stream, work: Coroutine[Any, Any, bytes]) -> bytes:
        try:
            answer = await work
        except BaseException:
            stream.close()
            raise
        if len(self._idle) < IDLE_STREAMS:
            self._idle.append(stream)
        else:
            stream.close()
        return answer

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
