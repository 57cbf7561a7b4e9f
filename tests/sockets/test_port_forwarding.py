"""--to-pod and --expose, over two engines that are joined."""

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from telepresence.errors import MethodError, TunnelError
from telepresence.exposure import Exposure
from telepresence.fastpath import DialRefused, Listening
from telepresence.to_pod import ToPod
from telepresence.tunnel.exposed import ExposedPorts
from telepresence.values import Plan, Port
from wires import DEADLINE_S, Ends, Server, listener

PLAN = Plan(
    context="", namespace="", kubectl="", pod_name="p", image="", session=bytes(16),
    secret=bytes(32), method="inject-tcp", shim=Path("/s"), program="", argv=(), is_shell=False,
    environ={},
)  # fmt: skip


def free_port() -> int:
    with listener() as door:
        return int(door.getsockname()[1])


@contextlib.asynccontextmanager
async def followed(ends: Ends, ports: ExposedPorts, exposure: Exposure) -> AsyncIterator[None]:
    """As the keeper hands events on."""

    def on_events() -> None:
        for event in ends.laptop.take_events():
            if isinstance(event, Listening | DialRefused):
                ports.on_event(event)

    loop = asyncio.get_running_loop()
    loop.add_reader(ends.laptop.event_fd, on_events)
    try:
        async with asyncio.timeout(DEADLINE_S), exposure:
            yield
    finally:
        loop.remove_reader(ends.laptop.event_fd)


Made = tuple[ExposedPorts, Exposure]


async def no_service(name: str) -> socket.socket:
    pytest.fail(f"nobody asked for {name}")


def exposure(ends: Ends, *ports: Port) -> tuple[Made, list[str]]:
    """And what it says to the user.  Readiness: test_ready.py."""
    plan = dataclasses.replace(PLAN, expose=ports, ready_when_listening=False)
    said = list[str]()
    opener = ExposedPorts(ends.laptop_tunnel)
    return (opener, Exposure(plan, opener.open, no_service, said.append)), said


def test_a_port_here_leads_to_the_pods_localhost(ends: Ends, echo_server: Server) -> None:
    port = Port(laptop=free_port(), pod=echo_server.port)

    async def scene() -> None:
        async with asyncio.timeout(DEADLINE_S), ToPod((port,), ends.laptop, ends.laptop_tunnel):
            for _ in range(3):
                reader, writer = await asyncio.open_connection("127.0.0.1", port.laptop)
                writer.write(b"x" * 100_000)
                writer.write_eof()
                assert await reader.read() == b"x" * 100_000
                writer.close()
                await writer.wait_closed()

    asyncio.run(scene())


def test_where_nobody_listens_in_the_pod_the_connection_is_reset(ends: Ends) -> None:
    port = Port(laptop=free_port(), pod=free_port())

    async def scene() -> None:
        async with asyncio.timeout(DEADLINE_S), ToPod((port,), ends.laptop, ends.laptop_tunnel):
            reader, writer = await asyncio.open_connection("127.0.0.1", port.laptop)
            with pytest.raises(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()

    asyncio.run(scene())


def test_a_port_that_is_taken_here_is_named(ends: Ends, echo_server: Server) -> None:
    port = Port(laptop=echo_server.port, pod=80)

    async def scene() -> None:
        async with ToPod((port,), ends.laptop, ends.laptop_tunnel):
            pytest.fail("it is taken")

    with pytest.raises(MethodError, match=f"127.0.0.1:{echo_server.port}: Address already in use"):
        asyncio.run(scene())


def test_an_exposed_port_leads_here_until_the_end(ends: Ends, echo_server: Server) -> None:
    port = free_port()

    async def scene() -> None:
        made, _ = exposure(ends, Port(laptop=echo_server.port, pod=port))
        async with followed(ends, *made):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.close()
            await writer.wait_closed()

    asyncio.run(scene())


def test_a_port_that_is_taken_in_the_pod(ends: Ends, echo_server: Server) -> None:
    """An error when it was asked for; a word when it was only declared."""
    taken = Port(laptop=1, pod=echo_server.port)

    async def asked() -> None:
        async with followed(ends, *exposure(ends, taken)[0]):
            pytest.fail("it is taken")

    async def declared() -> list[str]:
        made, said = exposure(ends, dataclasses.replace(taken, is_declared=True))
        async with followed(ends, *made):
            return said

    with pytest.raises(TunnelError, match="cannot listen on port") as caught:
        asyncio.run(asked())
    assert "another container" in caught.value.hint
    (line,) = asyncio.run(declared())
    assert "it is not exposed" in line
