"""kubelet's readiness probe, from the agent's port through the stream to the laptop's listeners."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from telepresence.agent import services
from telepresence.exposure import Exposure
from telepresence.values import Port

DEADLINE_S = 20.0
Probe = Callable[[], Awaitable[str]]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port: int = door.getsockname()[1]
    return port


@dataclass
class Wanted:
    expose: tuple[Port, ...]
    from_pod: tuple[int, ...] = ()
    ready_when_listening: bool = True


class Listened:
    def close(self) -> None:
        pass


async def probe() -> str:
    """The status line; "" when there is no answer."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", services.READY_PORT)
    except ConnectionRefusedError:
        return "refused"
    with contextlib.closing(writer):
        writer.write(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")
        return (await reader.readline()).decode().strip()


@contextlib.asynccontextmanager
async def exposed(*ports: Port) -> AsyncIterator[None]:
    async def opened(*_: int) -> Listened:
        return Listened()

    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)

    async def service(name: str) -> socket.socket:
        assert name == "ready"
        return ours

    serving = asyncio.ensure_future(services.ready(theirs))
    async with asyncio.timeout(DEADLINE_S), Exposure(Wanted(ports), opened, service, print):  # type: ignore[arg-type] # what it uses
        while await probe() == "refused":
            await asyncio.sleep(0.01)
        yield
    async with asyncio.timeout(DEADLINE_S):
        await serving
    theirs.close()
    assert await probe() == "refused"


@pytest.fixture(autouse=True)
def own_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "READY_PORT", free_port())


READY, UNREADY = "HTTP/1.1 200 OK", "HTTP/1.1 503 Service Unavailable"


def test_the_pod_is_ready_while_all_ports_that_were_asked_for_are_listened_on() -> None:
    one, two = free_port(), free_port()

    async def scene() -> None:
        async with exposed(Port(laptop=one, pod=80), Port(laptop=two, pod=81)):
            assert await probe() == UNREADY
            with socket.create_server(("127.0.0.1", one)):
                assert await probe() == UNREADY
                with socket.create_server(("127.0.0.1", two)):
                    assert await asyncio.gather(*(probe() for _ in range(20))) == [READY] * 20
                assert await probe() == UNREADY

    asyncio.run(scene())


def test_of_declared_ports_any_will_do() -> None:
    one, two = free_port(), free_port()

    async def scene() -> None:
        declared = (Port(laptop=p, pod=p, is_declared=True) for p in (one, two))
        async with exposed(*declared):
            assert await probe() == UNREADY
            with socket.create_server(("127.0.0.1", two)):
                assert await probe() == READY

    asyncio.run(scene())


def test_whoever_asks_nonsense_or_nothing_gets_no_answer_and_keeps_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(services, "PROBE_TIMEOUT_S", 0.3)
    port = free_port()

    async def scene() -> None:
        async with exposed(Port(laptop=port, pod=80)):
            place = ("127.0.0.1", services.READY_PORT)
            silent, idle = await asyncio.open_connection(*place)
            long, writer = await asyncio.open_connection(*place)
            writer.write(bytes(100_000))
            assert await probe() == UNREADY
            assert await silent.read() == b""
            with contextlib.suppress(ConnectionResetError):
                assert await long.read() == b""
            idle.close()
            writer.close()

    asyncio.run(scene())
