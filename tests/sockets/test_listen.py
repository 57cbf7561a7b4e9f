"""A port of the pod that leads to a program of the laptop is as if the program ran in the pod."""

import contextlib
import errno
import hashlib
import os
import random
import select
import socket
import threading
import time

import pytest

from telepresence.fastpath import DialRefused, Engine, Event, Listener, Listening
from test_resume import Wire
from wires import (
    DEADLINE_S,
    Ends,
    Server,
    connected_pair,
    echo,
    listener,
    read_exactly,
    reset,
)

MIB = 2**20


def wait_event(engine: Engine) -> Event:
    """The next event, without polling; others behind it are a failure."""
    assert select.select([engine.event_fd], [], [], DEADLINE_S)[0]
    (event,) = engine.take_events()
    return event


def expose(ends: Ends, laptop_port: int, pod_port: int = 0) -> tuple[Listener, int]:
    made = ends.laptop_tunnel.listen(pod_port, laptop_port)
    event = wait_event(ends.laptop)
    assert isinstance(event, Listening)
    assert (event.tunnel, event.listener, event.error) == (
        ends.laptop_tunnel.number,
        made.number,
        0,
    )
    return made, event.port


def knock(port: int, host: str = "127.0.0.1") -> socket.socket:
    sock = socket.create_connection((host, port), DEADLINE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def reset_at_once(port: int) -> None:
    """As it may be even before connect(2) has returned."""
    began = time.monotonic()
    with pytest.raises(ConnectionResetError), knock(port) as sock:
        sock.recv(1)
    assert time.monotonic() - began < 1


def free_port() -> int:
    with listener() as door:
        return int(door.getsockname()[1])


@pytest.fixture
def exposed(ends: Ends, echo_server: Server) -> int:
    return expose(ends, echo_server.port)[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
def test_connections_to_every_address_of_the_pod_arrive(exposed: int, host: str) -> None:
    for _ in range(20):
        with knock(exposed, host) as sock:
            sock.sendall(b"hello")
            assert read_exactly(sock, 5) == b"hello"
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(1) == b""


def test_a_program_on_ipv6_alone_is_found(ends: Ends) -> None:
    with contextlib.closing(Server(echo, "::1")) as server:
        _, port = expose(ends, server.port)
        with knock(port) as sock:
            sock.sendall(b"six")
            assert read_exactly(sock, 3) == b"six"


def test_a_server_that_speaks_first_is_heard(ends: Ends) -> None:
    with contextlib.closing(Server(lambda sock: sock.sendall(b"220 ready"))) as server:
        _, port = expose(ends, server.port)
        with knock(port) as sock:
            assert read_exactly(sock, 9) == b"220 ready"
            assert sock.recv(1) == b""


def test_eof_on_one_side_keeps_the_other_open(ends: Ends) -> None:
    def tail(sock: socket.socket) -> None:
        while sock.recv(100):
            pass
        sock.sendall(b"after your end of file")

    with contextlib.closing(Server(tail)) as server:
        _, port = expose(ends, server.port)
        with knock(port) as sock:
            sock.sendall(b"x")
            sock.shutdown(socket.SHUT_WR)
            assert read_exactly(sock, 22) == b"after your end of file"
            assert sock.recv(1) == b""


def test_resets_travel_both_ways(ends: Ends) -> None:
    seen = threading.Event()

    def wait_for_reset(sock: socket.socket) -> None:
        sock.sendall(b"!")
        with contextlib.suppress(ConnectionResetError):
            sock.recv(1)
            return
        seen.set()

    with contextlib.closing(Server(wait_for_reset)) as server:
        _, port = expose(ends, server.port)
        sock = knock(port)
        read_exactly(sock, 1)
        reset(sock)
        assert seen.wait(DEADLINE_S)
    with contextlib.closing(Server(reset)) as server:
        _, port = expose(ends, server.port)
        reset_at_once(port)


def test_nobody_on_the_laptop_is_a_reset_at_once_and_an_event(ends: Ends) -> None:
    made, port = expose(ends, free_port())
    for _ in range(2):
        reset_at_once(port)
    with contextlib.suppress(ConnectionResetError), knock(port) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        sock.recv(1)
    event = wait_event(ends.laptop)  # one for all until it is taken
    assert event == DialRefused(ends.laptop_tunnel.number, made.number, port, errno.ECONNREFUSED)
    reset_at_once(port)
    assert isinstance(wait_event(ends.laptop), DialRefused)


def test_a_program_that_starts_later_is_reached(ends: Ends) -> None:
    laptop_port = free_port()
    _, port = expose(ends, laptop_port)
    reset_at_once(port)
    with contextlib.closing(Server(echo, port=laptop_port)), knock(port) as sock:
        sock.sendall(b"now")
        assert read_exactly(sock, 3) == b"now"


def test_a_taken_port_is_told_with_its_reason(ends: Ends, echo_server: Server) -> None:
    for host in ("0.0.0.0", "::"):
        family = socket.AF_INET6 if host == "::" else socket.AF_INET
        with socket.create_server((host, 0), family=family) as taken:
            port = taken.getsockname()[1]
            made = ends.laptop_tunnel.listen(port, echo_server.port)
            event = wait_event(ends.laptop)
            numbers = (ends.laptop_tunnel.number, made.number)
            assert event == Listening(*numbers, port, errno.EADDRINUSE)
            made.close()
    assert ends.laptop_tunnel.stats()["streams"] == 0


def test_ports_are_ports(ends: Ends) -> None:
    for pod_port, laptop_port in ((-1, 1), (65536, 1), (1, 65536)):
        with pytest.raises(OverflowError):
            ends.laptop_tunnel.listen(pod_port, laptop_port)


def test_a_listener_ends_and_comes_again_at_once(ends: Ends, echo_server: Server) -> None:
    made, port = expose(ends, echo_server.port)
    with knock(port) as alive:
        alive.sendall(b"x")
        assert read_exactly(alive, 1) == b"x"
        for _ in range(20):
            made.close()
            made.close()
            made, again = expose(ends, echo_server.port, port)
            assert again == port
        alive.sendall(b"alive")
        assert read_exactly(alive, 5) == b"alive"
    made.close()
    deadline = time.monotonic() + DEADLINE_S
    with pytest.raises(ConnectionRefusedError):
        while time.monotonic() < deadline:
            with contextlib.suppress(ConnectionResetError):  # it had not been accepted yet
                knock(port).close()


def test_the_pod_stops_listening_when_the_tunnel_ends(ends: Ends, exposed: int) -> None:
    ends.laptop_tunnel.close()
    ends.agent_tunnel.close()
    with pytest.raises(ConnectionRefusedError):
        knock(exposed)


def test_many_ports_and_many_connections(ends: Ends) -> None:
    def name(word: bytes) -> Server:
        return Server(lambda sock: sock.sendall(word))

    with contextlib.ExitStack() as stack:
        ports = []
        for number in range(8):
            server = stack.enter_context(contextlib.closing(name(b"%d" % number)))
            ports.append(expose(ends, server.port)[1])
        socks = [(number, knock(port)) for _ in range(25) for number, port in enumerate(ports)]
        for number, sock in socks:
            assert read_exactly(sock, 1) == b"%d" % number
            sock.close()


@pytest.mark.parametrize("size", [1, 65_535, 32 * MIB])
def test_bytes_arrive_unchanged_in_both_directions(exposed: int, size: int) -> None:
    data = (os.urandom(min(size, MIB)) * max(1, size // MIB))[:size]
    with knock(exposed) as sock:

        def send() -> None:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        back = hashlib.sha256()
        while piece := sock.recv(MIB):
            back.update(piece)
        sender.join()
        assert back.digest() == hashlib.sha256(data).digest()


def test_a_program_that_reads_nothing_stops_its_client(ends: Ends) -> None:
    stop = threading.Event()
    with contextlib.closing(Server(lambda _: stop.wait(DEADLINE_S) and None)) as server:
        _, port = expose(ends, server.port)
        with knock(port) as sock:
            sock.settimeout(0.5)
            with pytest.raises(TimeoutError):
                for _ in range(1000):
                    sock.sendall(bytes(65_536))
            held = ends.laptop.counters()["blocks_used"] * 65_536
            assert held <= ends.laptop_tunnel.stats()["windows"] + 3 * 65_536
        stop.set()


def test_nothing_is_lost_while_carriers_are_cut(unjoined: Ends, echo_server: Server) -> None:
    dice = random.Random(7)
    wire = Wire(dice)
    unjoined.attach(wire.near, wire.far)
    made, port = expose(unjoined, echo_server.port)
    data = os.urandom(MIB)
    finished: list[bool] = []

    def talk() -> None:
        for _ in range(4):
            with knock(port) as sock:
                sender = threading.Thread(target=sock.sendall, args=(data,))
                sender.start()
                finished.append(read_exactly(sock, len(data)) == data)
                sender.join()

    clients = [threading.Thread(target=talk) for _ in range(4)]
    for client in clients:
        client.start()
    cuts = 0
    while any(client.is_alive() for client in clients):
        time.sleep(dice.random() * 0.02)
        wire.cut()
        cuts += 1
        wire = Wire(dice)
        unjoined.attach(wire.near, wire.far)
    made.close()
    wire.cut()
    assert finished == [True] * 16
    assert cuts >= 3


def test_connections_made_without_a_carrier_wait_for_one(ends: Ends, exposed: int) -> None:
    ends.laptop_tunnel.detach()
    ends.agent_tunnel.detach()
    with knock(exposed) as sock:
        sock.sendall(b"patient")
        ends.attach(*connected_pair())
        assert read_exactly(sock, 7) == b"patient"


def test_a_listener_asked_for_without_a_carrier_is_opened_with_the_next(
    unjoined: Ends, echo_server: Server
) -> None:
    unjoined.laptop_tunnel.listen(0, echo_server.port)
    assert unjoined.laptop.take_events() == []
    unjoined.attach(*connected_pair())
    event = wait_event(unjoined.laptop)
    assert isinstance(event, Listening)
    with knock(event.port) as sock:
        sock.sendall(b"x")
        assert read_exactly(sock, 1) == b"x"
