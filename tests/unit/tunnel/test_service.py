"""A named service read through a tunnel of two engines."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from telepresence.errors import TunnelError
from telepresence.fastpath import Engine, ServiceOpened, Tunnel
from telepresence.tunnel import service
from telepresence.tunnel.service import open_service, read_service

DEADLINE_S = 10.0


class Ends:
    """Laptop and agent, joined by a pair of sockets."""

    def __init__(self) -> None:
        self.engines = Engine(), Engine()
        self.laptop = Tunnel(self.engines[0], role="laptop")
        self.agent = Tunnel(self.engines[1], role="agent")
        for tunnel, end in zip((self.laptop, self.agent), socket.socketpair(), strict=True):
            end.setblocking(False)
            tunnel.attach(end.detach(), 0)

    async def opened(self) -> tuple[str, socket.socket]:
        """The next service that the laptop asks for."""
        engine = self.engines[1]
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(engine.event_fd, readable.set)
        try:
            while True:
                for event in engine.take_events():
                    if isinstance(event, ServiceOpened):
                        return event.name, socket.socket(fileno=event.fd)
                readable.clear()
                await readable.wait()
        finally:
            loop.remove_reader(engine.event_fd)

    def close(self) -> None:
        for engine in self.engines:
            engine.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    with contextlib.closing(Ends()) as made:
        yield made


async def ask(ends: Ends, answer: bytes, *, end: bool = True) -> bytes:
    async with asyncio.timeout(DEADLINE_S):
        reading = asyncio.ensure_future(read_service(ends.laptop, "environ"))
        try:
            name, stream = await ends.opened()
            with stream:
                assert name == "environ"
                with contextlib.suppress(ConnectionError):
                    await asyncio.get_running_loop().sock_sendall(stream, answer)
                    if end:
                        stream.shutdown(socket.SHUT_WR)
                return await reading
        finally:
            reading.cancel()
            await asyncio.wait([reading])


@pytest.mark.parametrize("size", [0, 1, 65_536, 2_000_000])
def test_all_that_it_says_is_read(ends: Ends, size: int) -> None:
    said = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert asyncio.run(ask(ends, said)) == said


def test_one_that_says_too_much_is_cut_off(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "LIMIT_BYTES", 1000)
    with pytest.raises(TunnelError, match="environ is longer than 1000 bytes"):
        asyncio.run(ask(ends, b"x" * 1001))


def test_one_that_does_not_end_in_time_is_given_up(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "TIMEOUT_S", 0.2)
    with pytest.raises(TunnelError, match="environ could not be read: TimeoutError"):
        asyncio.run(ask(ends, b"half", end=False))


def test_a_stream_of_its_own_begins_after_the_reply(ends: Ends) -> None:
    async def scene() -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            opening = asyncio.ensure_future(open_service(ends.laptop, "sftp"))
            name, far = await ends.opened()
            assert name == "sftp"
            loop = asyncio.get_running_loop()
            with far, await opening as near:
                await loop.sock_sendall(far, b"first")
                return await loop.sock_recv(near, 100)

    assert asyncio.run(scene()) == b"first"
