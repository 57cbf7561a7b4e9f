"""Questions to the pod's name servers over real sockets, whose other end is the test."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from telepresence.errors import TunnelError
from telepresence.method.vpn import podlookup
from telepresence.method.vpn.message import A, split_name
from telepresence.method.vpn.podlookup import PodLookup

NAME = split_name("redis.default.svc.cluster.local")
REPLY = b"\5\0\0\1" + bytes(6)
Behave = Callable[["Peer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """Stands where the tunnel is: each stream is a socket whose other end behaves."""

    def __init__(self, behave: Behave) -> None:
        self.requests: list[bytes] = []
        self._behave = behave
        self._tasks: list[asyncio.Task[None]] = []

    def open_stream(self, head: bytes) -> int:
        self.requests.append(head)
        ours, theirs = socket.socketpair()
        self._tasks.append(asyncio.ensure_future(self._serve(ours)))
        return theirs.detach()

    async def _serve(self, sock: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=sock)
        with contextlib.suppress(EOFError, ConnectionError):
            await self._behave(self, reader, writer)
        writer.close()

    async def end(self) -> None:
        await asyncio.gather(*self._tasks)


async def question(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))


async def echo(_: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """In pieces of one byte, which a parser must not mind."""
    for byte in REPLY:
        writer.write(bytes([byte]))
        await writer.drain()
    while True:
        data = await question(reader)
        writer.write(len(data).to_bytes(2, "big") + data)


async def refuse(_: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\5\5\0\1" + bytes(6))


async def once(_: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As a server that closes idle connections."""
    data = await question(reader)
    writer.write(REPLY + len(data).to_bytes(2, "big") + data)


async def silent(_: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@contextlib.asynccontextmanager
async def lookup(behave: Behave, *servers: str) -> AsyncIterator[tuple[PodLookup, Peer]]:
    peer = Peer(behave)
    made = PodLookup(peer, servers or ("10.96.0.10",))  # type: ignore[arg-type] # what it uses of it
    try:
        yield made, peer
    finally:
        made.close()
        await peer.end()


def test_many_at_once_share_a_few_streams_and_each_gets_its_own_answer() -> None:
    async def test() -> None:
        async with lookup(echo) as (made, peer):
            names = [(b"n%d" % number, *NAME) for number in range(100)]
            answers = await asyncio.gather(*(made.ask(name, A) for name in names))
            assert all(name[0] in answer for name, answer in zip(names, answers, strict=True))
            assert 1 < len(peer.requests) <= podlookup.STREAMS
            assert peer.requests[0] == b"\5\1\0\1\x0a\x60\0\x0a\0\x35"

    asyncio.run(test())


def test_a_stream_that_was_closed_while_idle_is_replaced() -> None:
    async def test() -> None:
        async with lookup(once) as (made, peer):
            for _ in range(3):
                await made.ask(NAME, A)
            assert len(peer.requests) == 3

    asyncio.run(test())


def test_a_refused_server_is_followed_by_the_next_and_by_an_error() -> None:
    async def test() -> None:
        async with lookup(refuse, "10.96.0.10", "fd00::a") as (made, peer):
            with pytest.raises(TunnelError, match="do not answer"):
                await made.ask(NAME, A)
            assert [request[3] for request in peer.requests] == [1, 4]

    asyncio.run(test())


def test_who_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podlookup, "TIMEOUT_S", 0.05)

    async def test() -> None:
        async with lookup(silent) as (made, _):
            with pytest.raises(TunnelError):
                await made.ask(NAME, A)

    asyncio.run(test())
