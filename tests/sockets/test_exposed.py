"""What a session gets to know of its exposed ports."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator

import pytest

from telepresence.errors import TunnelError
from telepresence.fastpath import DialRefused, Listening
from telepresence.tunnel.exposed import ExposedPorts
from test_listen import free_port, knock, reset_at_once
from wires import DEADLINE_S, Ends, Server, connected_pair, read_exactly


@contextlib.contextmanager
def exposed_ports(ends: Ends) -> Iterator[ExposedPorts]:
    """With a reader of the engine's events, as a session has one."""
    ports = ExposedPorts(ends.laptop_tunnel)

    def on_events() -> None:
        for event in ends.laptop.take_events():
            if isinstance(event, Listening | DialRefused):
                ports.on_event(event)

    loop = asyncio.get_running_loop()
    loop.add_reader(ends.laptop.event_fd, on_events)
    yield ports
    loop.remove_reader(ends.laptop.event_fd)


def test_an_open_port_works_and_a_closed_one_is_free_again(ends: Ends, echo_server: Server) -> None:
    port = free_port()

    async def main() -> None:
        with exposed_ports(ends) as ports:
            for _ in range(3):
                listener = await ports.open(port, echo_server.port)
                with knock(port) as sock:
                    await asyncio.to_thread(sock.sendall, b"x")
                    assert await asyncio.to_thread(read_exactly, sock, 1) == b"x"
                listener.close()

    asyncio.run(main())


def test_a_taken_port_says_so_and_what_to_do(ends: Ends) -> None:
    async def main(port: int) -> None:
        with exposed_ports(ends) as ports, pytest.raises(TunnelError) as caught:
            await ports.open(port, 1)
        assert f"port {port}: Address already in use" in str(caught.value)
        assert "another container" in caught.value.hint

    with socket.create_server(("127.0.0.1", 0)) as taken:
        asyncio.run(main(taken.getsockname()[1]))


def test_ports_are_opened_at_once_not_one_after_the_other(
    unjoined: Ends, echo_server: Server
) -> None:
    """All are asked for before there is a carrier; all answers come with it."""

    async def main() -> None:
        with exposed_ports(unjoined) as ports:
            opening = asyncio.gather(*(ports.open(0, echo_server.port) for _ in range(5)))
            await asyncio.sleep(0)
            unjoined.attach(*connected_pair())
            async with asyncio.timeout(DEADLINE_S):
                await opening

    asyncio.run(main())


def test_who_stops_waiting_leaves_no_listener(unjoined: Ends) -> None:
    async def main() -> None:
        with exposed_ports(unjoined) as ports:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await ports.open(free_port(), 1)
            assert unjoined.laptop_tunnel.stats()["streams"] == 0

    asyncio.run(main())


def test_a_tunnel_that_ends_ends_the_wait(unjoined: Ends) -> None:
    async def main() -> None:
        with exposed_ports(unjoined) as ports:
            opening = asyncio.ensure_future(ports.open(free_port(), 1))
            await asyncio.sleep(0)
            unjoined.laptop_tunnel.close()
            with pytest.raises(TunnelError, match="reset"):
                await opening

    asyncio.run(main())


def test_nobody_here_is_on_the_log(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    port, laptop_port = free_port(), free_port()

    async def main() -> None:
        with exposed_ports(ends) as ports:
            await ports.open(port, laptop_port)
            await asyncio.to_thread(reset_at_once, port)
            async with asyncio.timeout(DEADLINE_S):
                while not caplog.records:
                    await asyncio.sleep(0.01)

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert f"found nobody on port {laptop_port} here" in caplog.text
