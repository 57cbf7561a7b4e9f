"""UDP with one target: an association whose datagrams have no headers, ours beside RFC 1928's."""

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from telepresence.fastpath import Engine, SocksServer
from udp_wires import UdpServer, echo_back, udp_socket
from wires import DEADLINE_S, UDP_CONNECT, Ends, listener, open_socks, read_reply, request

BIGGEST_IPV4 = 65_507


@pytest.fixture(params=["tunnel", "direct"])
def socks(request: pytest.FixtureRequest, ends: Ends, engine: Engine) -> SocksServer:
    return ends.socks if request.param == "tunnel" else SocksServer(engine, listener())


@contextlib.contextmanager
def connected(socks: SocksServer, host: str, port: int) -> Iterator[socket.socket]:
    """A UDP socket that is connected to a relay of its own."""
    with open_socks(socks.port, request(UDP_CONNECT, host, port)) as control, udp_socket() as sock:
        code, *relay = read_reply(control)
        assert code == 0
        sock.connect(tuple(relay))
        yield sock


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_is_sent_arrives_as_it_is(socks: SocksServer, host: str) -> None:
    with (
        contextlib.closing(UdpServer(echo_back, host)) as server,
        connected(socks, host, server.port) as sock,
    ):
        for size in (0, 1, 10, 22, 1400, 65_000):
            data = os.urandom(size)
            sock.send(data)
            assert sock.recv(65_536) == data
            assert server.seen[-1] == data


def test_the_biggest_payload_is_that_of_a_datagram(socks: SocksServer) -> None:
    with (
        contextlib.closing(UdpServer(echo_back)) as server,
        connected(socks, server.host, server.port) as sock,
    ):
        data = os.urandom(BIGGEST_IPV4)
        sock.send(data)
        assert sock.recv(65_536) == data


def test_only_the_target_is_heard(socks: SocksServer) -> None:
    """As a connected socket has it."""

    def pass_on(server: UdpServer, data: bytes, sender: tuple[str, int]) -> None:
        third.sendto(b"from a third party", sender)
        server.sock.sendto(data, sender)

    with (
        udp_socket() as third,
        contextlib.closing(UdpServer(pass_on)) as server,
        connected(socks, server.host, server.port) as sock,
    ):
        for number in range(3):
            sock.send(b"%d" % number)
            assert sock.recv(99) == b"%d" % number
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(99)


def test_a_name_is_no_target(engine: Engine) -> None:
    with open_socks(SocksServer(engine, listener()).port, request(UDP_CONNECT, "web", 53)) as sock:
        assert read_reply(sock)[0] == 1
        sock.settimeout(DEADLINE_S)
        assert sock.recv(1) == b""
