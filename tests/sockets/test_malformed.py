"""What a broken peer sends harms its own stream or carrier and nothing else."""

import errno
import time

import pytest

from telepresence.fastpath import Engine, Event, Tunnel, TunnelBroken
from wires import (
    CONNECT,
    RESOLVE,
    Ends,
    Server,
    address,
    connected_pair,
    request,
)
from yamux_peer import Peer, payload, read_some, yamux


def wait_events(engine: Engine) -> list[Event]:
    deadline = time.monotonic() + 10
    while not (events := engine.take_events()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return events


@pytest.fixture
def peer(engine: Engine) -> Peer:
    return Peer(engine)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\4\1\0\1\0\0\0\0\0\0", 1),
        (b"\5\1\0\7\0\0\0\0\0\0", 8),
        (b"\5\1\0\3\0\0\0", 1),
        (b"\5\xf4\0\1\0\0\0\0\0\0", 7),
        (b"\5\2\0\1\0\0\0\0\0\0", 7),
        (b"\5\1\0\1\x7f\0\0\1\0\0", 5),
    ],
)
def test_a_bad_request_gets_its_reply_at_every_split(peer: Peer, message: bytes, code: int) -> None:
    stream = 1
    for cut in range(len(message)):
        wire = yamux.data(stream, message[:cut], yamux.SYN) + yamux.data(stream, message[cut:])
        for number in range(len(wire)):
            peer.sock.send(wire[number : number + 1])
        reply = payload(peer.frames(stream))
        assert reply[:2] == bytes([5, code])
        stream += 2
    assert peer.tunnel.stats()["streams"] == 0
    peer.close()


def test_an_end_within_the_request_resets_the_stream(peer: Peer) -> None:
    peer.sock.sendall(yamux.data(1, b"\5\1\0", yamux.SYN) + yamux.data(1, b"", yamux.FIN))
    assert peer.frames(1)[-1].flags & yamux.RST
    peer.close()


@pytest.mark.parametrize(
    "noise",
    [
        b"\1" + bytes(11),
        yamux.make(9, 0, 1, 0),
        yamux.data(2, b"", yamux.SYN),
        yamux.data(0, b""),
        yamux.data(1, b"\5", yamux.SYN) + yamux.data(1, b"", yamux.SYN),
        yamux.make(yamux.ACK, 0, 1, 0),  # 4 GiB that were never sent
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_broken_frames_end_that_tunnel_alone(
    engine: Engine, peer: Peer, noise: bytes, ends: Ends, echo_server: Server
) -> None:
    other = Peer(engine)
    peer.sock.sendall(noise)
    (event,) = wait_events(engine)
    assert isinstance(event, TunnelBroken)
    assert event.tunnel == peer.tunnel.number
    assert event.error == errno.EPROTO
    with pytest.raises((EOFError, ConnectionResetError)):
        while True:
            read_some(peer.sock)
    near, far = connected_pair()
    with near, far, pytest.raises(BrokenPipeError):
        peer.tunnel.attach(near.fileno(), 0)
    other.sock.sendall(yamux.data(1, request(RESOLVE, "192.0.2.1", 0), yamux.SYN))
    assert payload(other.frames(1))[:2] == b"\5\0"
    peer.close()
    other.close()


def test_more_than_the_window_ends_the_tunnel(engine: Engine, peer: Peer) -> None:
    opened = yamux.data(1, request(CONNECT, "127.0.0.1", 9), yamux.SYN)
    peer.sock.sendall(opened + yamux.data(1, bytes(yamux.INITIAL_WINDOW + 1)))
    (event,) = wait_events(engine)
    assert isinstance(event, TunnelBroken)
    peer.close()


def test_a_stream_through_the_oracle_is_a_connection(
    engine: Engine, peer: Peer, echo_server: Server
) -> None:
    """Interoperates with an implementation of the specification that is not ours."""
    wire = b"\5\1\0" + address("127.0.0.1", echo_server.port) + b"hello"
    peer.sock.sendall(yamux.data(1, wire, yamux.SYN) + yamux.data(1, b"", yamux.FIN))
    frames = peer.frames(1)
    assert frames[0].flags & yamux.SYNACK
    assert payload(frames)[:2] == b"\5\0"
    assert payload(frames).endswith(b"hello")
    assert peer.tunnel.stats()["streams"] == 0
    peer.close()


def test_a_laptop_accepts_no_stream(ends: Ends) -> None:
    """Nothing is exposed: a pod cannot make the laptop connect anywhere."""
    engine = ends.laptop
    tunnel = Tunnel(engine, role="laptop")
    near, far = connected_pair()
    tunnel.attach(far.detach(), 0)
    with near:
        near.sendall(yamux.data(2, request(CONNECT, "127.0.0.1", 22), yamux.SYN))
        rest = b""
        while True:
            rest += read_some(near)
            frames, rest = yamux.take(rest)
            if any(f.stream == 2 and f.flags & yamux.RST for f in frames):
                break
