"""UDP through a SOCKS server (RFC 1928 sections 4 and 7), with a tunnel behind it and without."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from telepresence.fastpath import Engine, SocksServer
from udp_wires import BIGGEST, Association, UdpServer, echo_back, message, udp_socket
from wires import DEADLINE_S, Ends, Server, connected_pair, listener, read_exactly

IPV4_HEADER = 10


@pytest.fixture
def echo_udp(nothing_is_left: None) -> Iterator[UdpServer]:
    with contextlib.closing(UdpServer(echo_back)) as server:
        yield server


@pytest.fixture(params=["tunnel", "direct"])
def socks(request: pytest.FixtureRequest, ends: Ends, engine: Engine) -> SocksServer:
    """The two kinds must not be told apart by a client."""
    return ends.socks if request.param == "tunnel" else SocksServer(engine, listener())


@pytest.fixture
def client(socks: SocksServer) -> Iterator[Association]:
    with contextlib.closing(Association(socks.port)) as made:
        yield made


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def dropped(engine: Engine) -> int:
    return engine.counters()["datagrams_dropped"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_answers_carry_their_true_source(client: Association, host: str) -> None:
    with contextlib.closing(
        UdpServer(echo_back, "::1" if host == "::1" else "127.0.0.1")
    ) as server:
        for number in range(20):
            got = client.ask(host, server.port, b"%d" % number)
            assert got == (server.host, server.port, b"%d" % number)


@pytest.mark.parametrize("size", [0, 1, 1400, 9000, 65_000, BIGGEST - IPV4_HEADER])
def test_every_size_up_to_the_biggest(client: Association, echo_udp: UdpServer, size: int) -> None:
    for _ in range(3):
        data = os.urandom(size)
        assert client.ask(echo_udp.host, echo_udp.port, data)[2] == data


def test_a_client_over_ipv6_gets_a_socket_there(engine: Engine, echo_udp: UdpServer) -> None:
    door = socket.create_server(("::1", 0), family=socket.AF_INET6)
    server = SocksServer(engine, door)
    with contextlib.closing(Association(server.port, host="::1")) as client:
        assert client.relay[0] == "::1"
        assert client.ask(echo_udp.host, echo_udp.port, b"six")[2] == b"six"


def test_many_destinations_and_third_parties(client: Association, echo_udp: UdpServer) -> None:
    """One socket of the pod for all: its address may be passed on, as STUN does."""
    with udp_socket() as third:

        def pass_on(server: UdpServer, data: bytes, sender: tuple[str, int]) -> None:
            third.sendto(b"from a third party", sender)

        with contextlib.closing(UdpServer(pass_on)) as introducer:
            got = client.ask(introducer.host, introducer.port, b"who?")
            assert got == (*third.getsockname(), b"from a third party")
            assert client.ask(echo_udp.host, echo_udp.port, b"x")[2] == b"x"


def test_fragments_and_nonsense_are_dropped_and_harm_nothing(
    engine: Engine, echo_udp: UdpServer
) -> None:
    with contextlib.closing(Association(SocksServer(engine, listener()).port)) as client:
        good = message(echo_udp.host, echo_udp.port, b"good")
        bad = [good[:cut] for cut in range(IPV4_HEADER)]
        bad += [b"\0\0\1" + good[3:], b"\0\0\0\2" + good[4:], b"\0\0\0\3\0\0\x35", b"\xff" * 600]
        for noise in bad:
            client.udp.sendto(noise, client.relay)
        assert client.ask(echo_udp.host, echo_udp.port, b"good")[2] == b"good"
        assert echo_udp.seen == [b"good"]
        assert dropped(engine) == len(bad)


@pytest.mark.parametrize("named", [False, True])
def test_only_the_clients_own_port_is_taken(
    engine: Engine, echo_udp: UdpServer, named: bool
) -> None:
    server = SocksServer(engine, listener())
    with (
        contextlib.closing(Association(server.port, named=named)) as client,
        udp_socket() as neighbour,
        udp_socket("127.0.0.2") as stranger,
    ):
        theirs = message(echo_udp.host, echo_udp.port, b"theirs")
        stranger.sendto(theirs, client.relay)
        if named:
            neighbour.sendto(theirs, client.relay)
        assert client.ask(echo_udp.host, echo_udp.port, b"mine")[2] == b"mine"
        for other in (stranger, neighbour):
            with contextlib.suppress(ConnectionRefusedError):
                other.sendto(theirs, client.relay)
        assert client.ask(echo_udp.host, echo_udp.port, b"mine")[2] == b"mine"
        assert echo_udp.seen == [b"mine", b"mine"]


def test_the_association_ends_with_its_connection(ends: Ends, echo_udp: UdpServer) -> None:
    for ending in (socket.socket.close, lambda sock: sock.shutdown(socket.SHUT_WR)):
        client = Association(ends.socks.port)
        client.ask(echo_udp.host, echo_udp.port, b"x")
        assert ends.agent_tunnel.stats()["streams"] == 1
        ending(client.tcp)
        wait_for(lambda: ends.agent_tunnel.stats()["streams"] == 0)
        assert ends.laptop_tunnel.stats()["streams"] == 0
        client.udp.connect(client.relay)
        client.udp.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            client.udp.recv(1)
        client.close()


def test_what_is_said_on_the_connection_means_nothing(
    client: Association, echo_udp: UdpServer
) -> None:
    client.tcp.sendall(b"noise" * 1000)
    assert client.ask(echo_udp.host, echo_udp.port, b"x")[2] == b"x"


def test_a_closed_server_leaves_associations_alone(
    socks: SocksServer, client: Association, echo_udp: UdpServer
) -> None:
    socks.close()
    assert client.ask(echo_udp.host, echo_udp.port, b"x")[2] == b"x"


def test_an_engine_that_is_closed_ends_them(unjoined: Ends) -> None:
    unjoined.attach(*connected_pair())
    client = Association(unjoined.socks.port)
    unjoined.laptop.close()
    with contextlib.suppress(ConnectionResetError):
        assert client.tcp.recv(1) == b""
    wait_for(lambda: unjoined.agent_tunnel.stats()["streams"] == 0)
    client.close()


def test_a_name_is_looked_up_once_and_keeps_its_order(ends: Ends) -> None:
    count = 200
    with (
        contextlib.closing(UdpServer(lambda *_: None)) as sink,
        contextlib.closing(Association(ends.socks.port)) as client,
    ):
        for number in range(count):
            client.send("localhost", sink.port, b"%d" % number)
        wait_for(lambda: len(sink.seen) == count)
        assert sink.seen == [b"%d" % number for number in range(count)]
        assert ends.agent.counters()["lookups"] == 1


def test_more_names_than_are_kept(ends: Ends, echo_udp: UdpServer) -> None:
    with contextlib.closing(Association(ends.socks.port)) as client:
        for number in range(2, 31):
            spelling = f"127.0.{number // 10}.{number}"  # getaddrinfo(3) reads it without asking
            raw = b"\3" + bytes([len(spelling)]) + spelling.encode()
            head = b"\0\0\0" + raw + echo_udp.port.to_bytes(2, "big")
            client.udp.sendto(head + b"%d" % number, client.relay)
        wait_for(lambda: dropped(ends.agent) + ends.agent.counters()["datagrams"] >= 29)
        assert client.ask("localhost", echo_udp.port, b"still")[2] == b"still"


def test_a_name_without_address_is_a_datagram_lost(ends: Ends, echo_udp: UdpServer) -> None:
    with contextlib.closing(Association(ends.socks.port)) as client:
        client.send("no such name", 9, b"lost")
        assert client.ask(echo_udp.host, echo_udp.port, b"x")[2] == b"x"
        wait_for(lambda: dropped(ends.agent) == 1)


def test_a_refused_port_does_not_end_an_association(
    client: Association, echo_udp: UdpServer
) -> None:
    with udp_socket() as gone:
        port = gone.getsockname()[1]
    for _ in range(5):
        client.send("127.0.0.1", port, b"refused")
        assert client.ask(echo_udp.host, echo_udp.port, b"x")[2] == b"x"


def test_without_a_carrier_datagrams_are_dropped_and_memory_is_bounded(
    unjoined: Ends, echo_udp: UdpServer
) -> None:
    with contextlib.closing(Association(unjoined.socks.port)) as client:
        for _ in range(200):
            client.send(echo_udp.host, echo_udp.port, bytes(60_000))
            time.sleep(0.001)
        wait_for(lambda: sum(passed_and_dropped(unjoined.laptop)) == 200)
        taken, lost = passed_and_dropped(unjoined.laptop)
        assert lost > 150
        assert unjoined.laptop.counters()["blocks_used"] <= 8
        unjoined.attach(*connected_pair())
        wait_for(lambda: len(echo_udp.seen) == taken)
        assert client.receive()[2] == bytes(60_000)


def passed_and_dropped(engine: Engine) -> tuple[int, int]:
    counters = engine.counters()
    return counters["datagrams"], counters["datagrams_dropped"]


def test_a_lost_carrier_loses_no_datagram_that_was_taken(ends: Ends, echo_udp: UdpServer) -> None:
    with contextlib.closing(Association(ends.socks.port)) as client:
        for number in range(50):
            client.send(echo_udp.host, echo_udp.port, b"%d" % number)
            if number % 10 == 5:
                ends.laptop_tunnel.detach()
                ends.attach(*connected_pair())
            assert client.receive()[2] == b"%d" % number


def test_a_flood_stalls_no_stream_and_a_bulk_transfer_no_datagram(
    ends: Ends, echo_server: Server, echo_udp: UdpServer
) -> None:
    stop = threading.Event()
    data = os.urandom(2**20)

    def flood() -> None:
        with contextlib.closing(Association(ends.socks.port)) as noisy:
            while not stop.is_set():
                noisy.send("127.0.0.1", 9, bytes(1400))

    def transfer() -> None:
        with ends.connect("127.0.0.1", echo_server.port) as sock:
            while not stop.is_set():
                sender = threading.Thread(target=sock.sendall, args=(data,))
                sender.start()
                assert read_exactly(sock, len(data)) == data
                sender.join()
                rounds.append(1)

    rounds: list[int] = []
    threads = [threading.Thread(target=work) for work in (flood, transfer)]
    for thread in threads:
        thread.start()
    with contextlib.closing(Association(ends.socks.port)) as client:
        for number in range(100):
            assert client.ask(echo_udp.host, echo_udp.port, b"%d" % number)[2] == b"%d" % number
        wait_for(lambda: len(rounds) >= 3)
    stop.set()
    for thread in threads:
        thread.join()


def test_idle_associations_cost_little(ends: Ends, echo_udp: UdpServer) -> None:
    clients = [Association(ends.socks.port) for _ in range(100)]
    for client in clients:
        assert client.ask(echo_udp.host, echo_udp.port, b"x")[2] == b"x"
    before = (time.process_time(), ends.laptop.counters()["blocks_used"])
    time.sleep(0.2)
    assert time.process_time() - before[0] < 0.1
    assert before[1] <= 2
    for client in clients:
        client.close()
