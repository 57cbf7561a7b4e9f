"""Two sockets joined by the engine behave like one connection."""

import hashlib
import os
import socket
import threading

import pytest

from telepresence.fastpath import Engine, Relay
from wires import connected_pair, read_exactly, reset


class Joined:
    """near <-> (engine) <-> far"""

    def __init__(self, engine: Engine) -> None:
        self.near, a = connected_pair()
        b, self.far = connected_pair()
        self.relay = Relay(engine, a.detach(), b.detach())

    def close(self) -> None:
        self.near.close()
        self.far.close()


@pytest.fixture
def joined(engine: Engine) -> Joined:
    return Joined(engine)


def test_bytes_arrive_unchanged_in_both_directions(joined: Joined) -> None:
    data = os.urandom(20 * 2**20)

    def send(sock: socket.socket) -> None:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)

    senders = [threading.Thread(target=send, args=(s,)) for s in (joined.near, joined.far)]
    digests = []

    def receive(sock: socket.socket) -> None:
        digest = hashlib.sha256()
        while piece := sock.recv(2**20):
            digest.update(piece)
        digests.append(digest.digest())

    receivers = [threading.Thread(target=receive, args=(s,)) for s in (joined.near, joined.far)]
    for thread in (*senders, *receivers):
        thread.start()
    for thread in (*senders, *receivers):
        thread.join()
    assert digests == [hashlib.sha256(data).digest()] * 2
    joined.close()


def test_eof_on_one_side_keeps_the_other_open(joined: Joined) -> None:
    joined.near.shutdown(socket.SHUT_WR)
    assert joined.far.recv(1) == b""
    joined.far.sendall(b"still")
    assert read_exactly(joined.near, 5) == b"still"
    assert joined.relay.open
    joined.far.close()
    assert joined.near.recv(1) == b""
    joined.close()


def test_a_reset_passes_through(joined: Joined) -> None:
    joined.near.sendall(b"x")
    read_exactly(joined.far, 1)
    reset(joined.near)
    with pytest.raises(ConnectionResetError):
        joined.far.recv(1)
    joined.close()


def test_close_resets_both_and_twice_is_harmless(joined: Joined) -> None:
    joined.relay.close()
    joined.relay.close()
    assert not joined.relay.open
    for sock in (joined.near, joined.far):
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    joined.close()


def test_a_stopped_reader_stops_the_writer(joined: Joined) -> None:
    joined.near.settimeout(0.5)
    with pytest.raises(TimeoutError):
        for _ in range(2000):
            joined.near.sendall(bytes(65_536))
    joined.close()
