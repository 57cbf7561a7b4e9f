"""One user connection through two engines behaves like one TCP connection."""

import contextlib
import errno
import hashlib
import os
import socket
import threading
import time

import pytest

from telepresence.fastpath import ServiceOpened
from wires import (
    CONNECT,
    Ends,
    Server,
    connected_pair,
    listener,
    read_exactly,
    read_reply,
    request,
    reset,
)

MIB = 2**20


def test_eof_on_one_side_keeps_the_other_open(ends: Ends) -> None:
    def tail(sock: socket.socket) -> None:
        while sock.recv(100):
            pass
        sock.sendall(b"after your end of file")

    server = Server(tail)
    with ends.connect("127.0.0.1", server.port) as sock:
        sock.sendall(b"x")
        sock.shutdown(socket.SHUT_WR)
        assert read_exactly(sock, 22) == b"after your end of file"
        assert sock.recv(1) == b""
    server.close()


def test_the_servers_eof_keeps_the_clients_side_open(ends: Ends) -> None:
    got = threading.Event()

    def head(sock: socket.socket) -> None:
        sock.shutdown(socket.SHUT_WR)
        assert read_exactly(sock, 5) == b"still"
        got.set()

    server = Server(head)
    with ends.connect("127.0.0.1", server.port) as sock:
        assert sock.recv(1) == b""
        sock.sendall(b"still")
        assert got.wait(20)
    server.close()


def test_a_reset_travels_both_ways(ends: Ends) -> None:
    seen = threading.Event()

    def wait_for_reset(sock: socket.socket) -> None:
        sock.sendall(b"!")
        try:
            sock.recv(1)
        except ConnectionResetError:
            seen.set()

    server = Server(wait_for_reset)
    sock = ends.connect("127.0.0.1", server.port)
    read_exactly(sock, 1)
    reset(sock)
    assert seen.wait(20)
    server.close()

    def reset_later(sock: socket.socket) -> None:
        read_exactly(sock, 1)
        reset(sock)

    server = Server(reset_later)
    with ends.connect("127.0.0.1", server.port) as sock, pytest.raises(ConnectionResetError):
        sock.sendall(b"x")
        sock.recv(1)
    server.close()


def test_the_last_words_of_a_server_that_does_not_read_arrive(ends: Ends) -> None:
    """As those of a web server that refuses an upload: 413, and a close that becomes a reset."""

    def refuse(sock: socket.socket) -> None:
        sock.recv(1)
        sock.sendall(b"too large")

    server = Server(refuse)
    for _ in range(20):
        with ends.connect("127.0.0.1", server.port) as sock:
            got = b""
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                sock.sendall(bytes(500_000))
            with contextlib.suppress(ConnectionResetError):
                while data := sock.recv(100):
                    got += data
            assert got == b"too large"
    server.close()


def test_early_data_goes_with_the_request(ends: Ends, echo_server: Server) -> None:
    with socket.create_connection(("127.0.0.1", ends.socks.port), 20) as sock:
        sock.sendall(b"\5\1\0" + request(CONNECT, "127.0.0.1", echo_server.port) + b"hello")
        assert read_exactly(sock, 2) == b"\5\0"
        assert read_reply(sock)[0] == 0
        assert read_exactly(sock, 5) == b"hello"


@pytest.mark.parametrize("size", [0, 1, 65_535, 5 * MIB, 64 * MIB])
def test_bytes_arrive_unchanged_in_both_directions(
    ends: Ends, echo_server: Server, size: int
) -> None:
    data = os.urandom(min(size, MIB)) * max(1, size // MIB)
    data = data[:size]
    with ends.connect("127.0.0.1", echo_server.port) as sock:

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


def test_a_stopped_reader_holds_no_more_than_its_window(ends: Ends) -> None:
    stop = threading.Event()

    def flood(sock: socket.socket) -> None:
        sock.settimeout(0.2)
        try:
            while not stop.is_set():
                sock.sendall(bytes(65536))
        except TimeoutError:
            stop.wait(20)

    server = Server(flood)
    with socket.socket() as sock:
        # The kernel takes little, so that what the peer may send ahead stays what it is at first.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", ends.socks.port))
        sock.sendall(b"\5\1\0" + request(CONNECT, "127.0.0.1", server.port))
        before = -1
        for _ in range(50):  # until nothing moves any more
            moved = ends.laptop.counters()["tunnel_bytes_in"]
            if moved == before:
                break
            before = moved
            time.sleep(0.1)
        else:
            pytest.fail("the stream never stopped")
        stop.set()
        # Blocks of 64 KiB; one may be half empty at either end, and one is the carrier's.
        held = ends.laptop.counters()["blocks_used"] * 65_536
        assert held <= ends.laptop_tunnel.stats()["windows"] + 3 * 65_536
        assert ends.laptop_tunnel.stats()["windows"] <= 16 * MIB
    server.close()


def test_a_stalled_stream_does_not_stall_another(ends: Ends, echo_server: Server) -> None:
    stop = threading.Event()

    def flood(sock: socket.socket) -> None:
        sock.settimeout(0.5)
        try:
            while not stop.is_set():
                sock.sendall(bytes(65536))
        except TimeoutError:
            stop.wait(20)

    server = Server(flood)
    stalled = [ends.connect("127.0.0.1", server.port) for _ in range(8)]
    with ends.connect("127.0.0.1", echo_server.port) as sock:
        for _ in range(200):
            sock.sendall(b"x" * 1000)
            assert read_exactly(sock, 1000) == b"x" * 1000
    stop.set()
    for other in stalled:
        other.close()
    server.close()


def test_streams_leave_nothing_behind(ends: Ends, echo_server: Server) -> None:
    for _ in range(200):
        with ends.connect("127.0.0.1", echo_server.port) as sock:
            sock.sendall(b"x")
            read_exactly(sock, 1)
    deadline = time.monotonic() + 10
    while ends.laptop_tunnel.stats()["streams"] or ends.agent_tunnel.stats()["streams"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert ends.laptop.counters()["blocks_used"] <= 2


def test_a_service_gets_a_socket_of_its_own(ends: Ends) -> None:
    with socket.socket(fileno=ends.laptop_tunnel.open_service("environ")) as sock:
        sock.settimeout(20)
        assert read_reply(sock)[0] == 0
        (event,) = ends.agent.take_events()
        assert isinstance(event, ServiceOpened)
        assert event.name == "environ"
        with socket.socket(fileno=event.fd) as service:
            service.sendall(b"A=1\0")
        assert read_exactly(sock, 4) == b"A=1\0"
        assert sock.recv(1) == b""


def test_service_names_are_1_to_255_bytes(ends: Ends) -> None:
    for name in ("", "x" * 256):
        with pytest.raises(OSError) as caught:
            ends.laptop_tunnel.open_service(name)
        assert caught.value.errno == errno.EINVAL


def test_connects_overlap(ends: Ends) -> None:
    """A connect that takes long delays no other."""
    with listener() as full:
        full.listen(0)
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        slow = ends.open("127.0.0.1", full.getsockname()[1])
        server = Server(lambda sock: sock.sendall(b"quick"))
        with ends.connect("127.0.0.1", server.port) as sock:
            assert read_exactly(sock, 5) == b"quick"
        server.close()
        for sock in (slow, *fillers):
            sock.close()


def test_closing_the_tunnel_resets_its_connections(ends: Ends, echo_server: Server) -> None:
    with ends.connect("127.0.0.1", echo_server.port) as sock:
        ends.laptop_tunnel.close()
        ends.laptop_tunnel.close()
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
        with pytest.raises(ValueError, match="closed"):
            ends.laptop_tunnel.detach()


def test_round_trip_time_is_measured(ends: Ends, echo_server: Server) -> None:
    with ends.connect("127.0.0.1", echo_server.port) as sock:
        for _ in range(10):
            sock.sendall(b"x")
            read_exactly(sock, 1)
    assert 0 < ends.laptop_tunnel.stats()["rtt_us"] < 1_000_000


def test_attach_needs_a_good_offset_and_a_free_tunnel(ends: Ends) -> None:
    near, far = connected_pair()
    with near, far:
        with pytest.raises(OSError) as caught:
            ends.laptop_tunnel.attach(near.fileno(), 0)
        assert caught.value.errno == errno.EBUSY
        ends.laptop_tunnel.detach()
        with pytest.raises(OSError) as caught:
            ends.laptop_tunnel.attach(near.fileno(), 2**40)
        assert caught.value.errno == errno.ERANGE


def test_abandoned_requests_are_cancelled(ends: Ends) -> None:
    for _ in range(50):
        reset(ends.open("no-such-host.invalid", 80))
        reset(ends.open("127.0.0.1", 1))
    deadline = time.monotonic() + 20
    while ends.agent_tunnel.stats()["streams"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
