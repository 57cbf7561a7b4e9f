"""The way to a proxy container, against the gateway's own end of it."""

import asyncio
import contextlib
import hashlib
import signal
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from telepresence.agent.serve import Session, Settings, accepting, listen
from telepresence.errors import TunnelError
from telepresence.fastpath import DialRefused, Engine, Event, Listening, Tunnel
from telepresence.method.container import hop
from telepresence.method.container.engine import Place
from telepresence.method.container.hop import Hop
from telepresence.tunnel.exposed import ExposedPorts

SESSION, SECRET = bytes(range(16)), bytes(range(32))
DEADLINE_S = 20.0


class Keeping:
    """As the keeper: hands events on, and hears of failures."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.failures = engine, list[Exception]()
        self.failed = asyncio.Event()
        self._watchers: dict[int, Callable[[Event], None]] = {}

    def watch(self, tunnel: Tunnel, on_event: Callable[[Event], None]) -> None:
        self._watchers[tunnel.number] = on_event

    def exposed_on(self, tunnel: Tunnel, place: str) -> ExposedPorts:
        return ExposedPorts(tunnel, place)

    def fail(self, error: Exception) -> None:
        self.failures.append(error)
        self.failed.set()

    def on_events(self) -> None:
        for event in self.engine.take_events():
            if event.tunnel in self._watchers:
                self._watchers[event.tunnel](event)


@dataclass
class Ends:
    keeping: Keeping
    tunnel: Tunnel  # the laptop's
    gateway: Session
    port: int
    carriers: socket.socket
    running: "asyncio.Task[str]"
    told: list[object] = field(default_factory=list)

    def hop(self, *before: Place, secret: bytes = SECRET, port: int = 0) -> Hop:
        places = (*before, Place(host="127.0.0.1", port=port or self.port))
        return Hop(self.keeping, self.tunnel, places=places, session=SESSION,
                   secret=secret, on_exposed=self.told.append)  # fmt: skip


@contextlib.asynccontextmanager
async def ends(role: str = "laptop") -> AsyncIterator[Ends]:
    """`role`: the gateway's.  Its tunnel is joined to nothing."""
    near, far = Engine(), Engine()
    settings = Settings(
        session=SESSION, secret_sha256=hashlib.sha256(SECRET).digest(), resume_timeout_s=5.0
    )
    carriers = listen(0)
    gateway = Session(settings, far, role="laptop" if role == "laptop" else "agent")
    arriving = contextlib.AsyncExitStack()
    arrivals = await arriving.enter_async_context(accepting(carriers))
    running = asyncio.ensure_future(gateway.run(arrivals))
    tunnel = Tunnel(near, role="agent" if role == "laptop" else "laptop")
    keeping = Keeping(near)
    loop = asyncio.get_running_loop()
    loop.add_reader(near.event_fd, keeping.on_events)
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield Ends(keeping, tunnel, gateway, carriers.getsockname()[1], carriers, running)
    finally:
        loop.remove_reader(near.event_fd)
        running.cancel()
        await asyncio.wait([running])
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        await arriving.aclose()
        near.close()
        far.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_carrier_that_is_lost_is_renewed() -> None:
    async def scene() -> None:
        async with ends() as made, made.hop():
            await made.gateway.attached.wait()
            for _ in range(3):
                made.gateway.tunnel.detach()  # its connection ends
                await until(lambda: bool(made.gateway.tunnel.stats()["attached"]))
                await until(lambda: bool(made.tunnel.stats()["attached"]))
            assert not made.keeping.failures

    asyncio.run(scene())


def test_a_place_that_is_not_of_this_machine_is_left_alone() -> None:
    """192.0.2.1 is nobody's (RFC 5737): nothing is sent to a bridge of somebody else's."""

    async def scene() -> None:
        async with ends() as made:
            with socket.create_server(("127.0.0.1", 0)) as door:
                port = door.getsockname()[1]
                others = Place(host="127.0.0.1", port=port, source="192.0.2.1")
                own = Place(host="127.0.0.1", port=made.port, source="127.0.0.2")
                async with made.hop(others, own, port=port):
                    await made.gateway.attached.wait()
                door.setblocking(False)
                with pytest.raises(BlockingIOError):
                    door.accept()

    asyncio.run(scene())


def test_a_wrong_secret_is_refused_and_not_tried_again() -> None:
    async def scene() -> None:
        async with ends() as made:
            with pytest.raises(TunnelError, match="refuses its carrier: WRONG_SECRET"):
                await made.hop(secret=bytes(32)).__aenter__()
            assert not made.gateway.attached.is_set()

    asyncio.run(scene())


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hop, "GIVE_UP_S", 0.1)

    async def scene() -> None:
        async with ends() as made:
            with socket.create_server(("127.0.0.1", 0)) as door:
                port = door.getsockname()[1]
            with pytest.raises(TunnelError, match=f"does not answer on 127.0.0.1:{port}") as caught:
                await made.hop(port=port).__aenter__()
            assert "publish ports" in caught.value.hint

    asyncio.run(scene())


def test_a_gateway_that_does_not_come_back_ends_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene() -> None:
        async with ends() as made, made.hop():
            await made.gateway.attached.wait()
            monkeypatch.setattr(hop, "GIVE_UP_S", 0.1)
            made.running.cancel()
            await asyncio.wait([made.running])
            made.carriers.close()
            made.gateway.tunnel.close()
            await made.keeping.failed.wait()
            assert "does not answer" in str(made.keeping.failures[0])

    asyncio.run(scene())


def test_what_becomes_of_ports_at_the_other_end_is_told() -> None:
    """The tunnel the other way round: the gateway listens for the laptop."""

    async def scene() -> None:
        async with ends(role="agent") as made, made.hop():
            made.tunnel.listen(0, 1)
            await until(lambda: bool(made.told))
            (told,) = made.told
            assert isinstance(told, Listening)
            assert (told.error, told.port > 0) == (0, True)
            with socket.socket() as client:
                client.setblocking(False)
                with contextlib.suppress(ConnectionError, BlockingIOError):
                    client.connect(("127.0.0.1", told.port))
                await until(lambda: len(made.told) == 2)
            assert isinstance(made.told[1], DialRefused)

    asyncio.run(scene())
