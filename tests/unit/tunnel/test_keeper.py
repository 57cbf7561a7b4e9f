"""The engine's news reaches whoever watches the tunnel that it is of."""

import asyncio
import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from telepresence.fastpath import CarrierLost, Engine, Event, Tunnel
from telepresence.tunnel.keeper import Keeper
from telepresence.values import Plan, Pod

PLAN = Plan(
    context="", namespace="", kubectl="", pod_name="p", image="", session=bytes(16),
    secret=bytes(32), method="container", shim=Path("/s"), program="", argv=(), is_shell=False,
    environ={},
)  # fmt: skip


async def no_access() -> None:
    return None


@asynccontextmanager
async def keeping() -> AsyncIterator[tuple[Engine, Keeper]]:
    engine = Engine()
    pod = Pod(name="p", namespace="n", container="c")
    try:
        yield engine, Keeper(engine, PLAN, pod, 1, no_access)
    finally:
        engine.close()


def lose_a_carrier(engine: Engine, tunnel: Tunnel) -> None:
    """Until the engine has something to tell."""
    near, far = socket.socketpair()
    tunnel.attach(near.detach(), 0)
    far.close()
    readable, _, _ = select.select([engine.event_fd], [], [], 10.0)
    assert readable


def test_another_tunnels_events_are_its_watchers_alone() -> None:
    async def scene() -> None:
        async with keeping() as (engine, keeper):
            seen: list[Event] = []
            other = Tunnel(engine, role="laptop")
            keeper.watch(other, seen.append)
            lose_a_carrier(engine, other)
            keeper._on_events()
            assert [type(event) for event in seen] == [CarrierLost]
            assert seen[0].tunnel == other.number
            assert not keeper._lost.is_set()

    asyncio.run(scene())


def test_its_own_tunnels_events_are_not_a_watchers() -> None:
    async def scene() -> None:
        async with keeping() as (engine, keeper):
            seen: list[Event] = []
            keeper.watch(Tunnel(engine, role="laptop"), seen.append)
            lose_a_carrier(engine, keeper.tunnel)
            keeper._on_events()
            assert not seen
            assert keeper._lost.is_set()

    asyncio.run(scene())


def test_the_first_failure_is_the_one() -> None:
    async def scene() -> None:
        async with keeping() as (_, keeper):
            keeper.fail(ValueError("first"))
            keeper.fail(ValueError("second"))
            assert str(keeper.failed.exception()) == "first"

    asyncio.run(scene())
