"""User connections outlive the carriers under them, and lose or repeat no byte."""

import contextlib
import errno
import hashlib
import os
import random
import socket
import threading
import time

import pytest

from telepresence.fastpath import CarrierLost
from wires import Ends, Server, connected_pair, echo, read_exactly, reset


class Wire:
    """A carrier that runs through a relay of ours, which can cut it between any two bytes."""

    def __init__(self, dice: random.Random) -> None:
        self.near, self._a = connected_pair()
        self._b, self.far = connected_pair()
        self._dice = dice
        self._threads = [
            threading.Thread(target=self._pump, args=pair)
            for pair in ((self._a, self._b), (self._b, self._a))
        ]
        for thread in self._threads:
            thread.start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(self._dice.choice([1, 7, 1000, 65_536, 300_000])):
                target.sendall(data)
        for sock in (self._a, self._b):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        for sock in (self._a, self._b):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in (self._a, self._b):
            if self._dice.random() < 0.5:
                reset(sock)
            sock.close()


def transfer(ends: Ends, port: int, dice: random.Random, verdicts: list[bool]) -> None:
    total = dice.randrange(10 * 2**20, 25 * 2**20)
    block = os.urandom(65_536)
    there, back = hashlib.sha256(), hashlib.sha256()
    with ends.connect("127.0.0.1", port) as sock:

        def send() -> None:
            left = total
            while left:
                piece = block[: min(left, dice.randrange(1, 65_536))]
                sock.sendall(piece)
                there.update(piece)
                left -= len(piece)
            sock.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        while data := sock.recv(100_000):
            back.update(data)
        sender.join()
    verdicts.append(there.digest() == back.digest())


@pytest.mark.parametrize("seed", range(3))
def test_every_byte_arrives_once_while_carriers_are_cut(
    unjoined: Ends, echo_server: Server, seed: int
) -> None:
    dice = random.Random(seed)
    verdicts: list[bool] = []
    wire = Wire(dice)
    unjoined.attach(wire.near, wire.far)
    clients = [
        threading.Thread(target=transfer, args=(unjoined, echo_server.port, dice, verdicts))
        for _ in range(6)
    ]
    for client in clients:
        client.start()
    cuts = 0
    while any(client.is_alive() for client in clients):
        time.sleep(dice.random() * 0.02)
        wire.cut()
        cuts += 1
        wire = Wire(dice)
        unjoined.attach(wire.near, wire.far)
    wire.cut()
    assert verdicts == [True] * 6
    assert cuts >= 3


def test_a_lost_carrier_is_told_with_the_offset(ends: Ends, echo_server: Server) -> None:
    with ends.connect("127.0.0.1", echo_server.port) as sock:
        sock.sendall(b"x")
        read_exactly(sock, 1)
        ends.agent_tunnel.detach()
        deadline = time.monotonic() + 10
        while not (events := ends.laptop.take_events()):
            assert time.monotonic() < deadline
        (lost,) = events
        assert isinstance(lost, CarrierLost)
        assert lost.tunnel == ends.laptop_tunnel.number
        assert lost.received == ends.laptop_tunnel.detach()


def test_connections_may_be_opened_while_there_is_no_carrier(
    unjoined: Ends, echo_server: Server
) -> None:
    sock = unjoined.open("127.0.0.1", echo_server.port)
    unjoined.attach(*connected_pair())
    with sock:
        assert read_exactly(sock, 10)[1] == 0
        sock.sendall(b"x")
        assert read_exactly(sock, 1) == b"x"


def test_without_a_carrier_a_writer_is_stopped_and_memory_bounded(
    unjoined: Ends, echo_server: Server
) -> None:
    unjoined.attach(*connected_pair())
    with unjoined.connect("127.0.0.1", echo_server.port) as sock:
        unjoined.laptop_tunnel.detach()
        sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            for _ in range(1000):
                sock.sendall(bytes(65_536))
        assert unjoined.laptop.counters()["blocks_used"] * 65_536 <= 2 * 2**20


def test_an_offset_that_was_forgotten_is_refused(ends: Ends) -> None:
    server = Server(echo)
    with ends.connect("127.0.0.1", server.port) as sock:
        for _ in range(64):
            sock.sendall(bytes(65_536))
            read_exactly(sock, 65_536)
    ends.laptop_tunnel.detach()
    near, far = connected_pair()
    with near, far, pytest.raises(OSError) as caught:
        ends.laptop_tunnel.attach(near.fileno(), 0)
    assert caught.value.errno == errno.ERANGE
    server.close()
