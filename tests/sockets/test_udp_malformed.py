"""The bytes of a UDP association inside the tunnel: every split, and what makes no sense."""

import contextlib
import itertools
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telepresence.fastpath import Engine, SocksServer
from udp_wires import Association, UdpServer, echo_back, message, take_message
from wires import UDP, listener, request
from yamux_peer import Peer, payload, yamux

ASSOCIATE = request(UDP, "0.0.0.0", 0)
REPLY = b"\5\0\0\1" + bytes(6)


def framed(data: bytes) -> bytes:
    return struct.pack("!H", len(data)) + data


@pytest.fixture
def echo_udp(nothing_is_left: None) -> Iterator[UdpServer]:
    with contextlib.closing(UdpServer(echo_back)) as server:
        yield server


@pytest.fixture
def agent(engine: Engine) -> Iterator[Peer]:
    with contextlib.closing(Peer(engine, "agent")) as peer:
        yield peer


def messages_of(wire: bytes) -> list[bytes]:
    found = []
    while wire:
        (size,) = struct.unpack_from("!H", wire)
        assert len(wire) >= 2 + size
        found.append(take_message(wire[2 : 2 + size])[2])
        wire = wire[2 + size :]
    return found


def converse(agent: Peer, stream: int, pieces: list[bytes], answers: int) -> list[bytes]:
    """Send the pieces, a frame each; returns the payloads of the agent's messages."""
    agent.sock.sendall(
        b"".join(
            yamux.data(stream, piece, yamux.SYN if number == 0 else 0)
            for number, piece in enumerate(pieces)
        )
    )
    got = b""
    while len(messages_of_whole(got)) < answers:
        got += agent.more(stream)
    agent.sock.sendall(yamux.data(stream, b"", yamux.FIN))
    got += payload(agent.frames(stream))
    assert got[:10] == REPLY
    return messages_of(got[10:])


def messages_of_whole(got: bytes) -> list[bytes]:
    """Those that are complete so far."""
    got, found = got[10:], []
    while len(got) >= 2 and len(got) >= 2 + struct.unpack_from("!H", got)[0]:
        size = 2 + struct.unpack_from("!H", got)[0]
        found.append(got[:size])
        got = got[size:]
    return found


def test_every_split_of_an_association(agent: Peer, echo_udp: UdpServer) -> None:
    first, second = (message(echo_udp.host, echo_udp.port, said) for said in (b"one", b""))
    wire = ASSOCIATE + framed(first) + framed(b"") + framed(second)
    for number, cut in enumerate(range(1, len(wire))):
        got = converse(agent, 2 * number + 1, [wire[:cut], wire[cut:]], 2)
        assert got == [b"one", b""]
    assert agent.tunnel.stats()["streams"] == 0


def test_byte_by_byte(agent: Peer, echo_udp: UdpServer) -> None:
    wire = ASSOCIATE + framed(message("localhost", echo_udp.port, b"slowly"))
    assert converse(agent, 1, [bytes([byte]) for byte in wire], 1) == [b"slowly"]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    # All of them fit a socket's buffer together: UDP may lose what does not.
    sizes=st.lists(st.one_of(st.integers(0, 40), st.integers(0, 60_000)), max_size=5).filter(
        lambda sizes: sum(sizes) <= 64_000
    ),
    noise=st.lists(st.binary(max_size=300), max_size=5),
    cuts=st.lists(st.integers(0, 300_000), max_size=12),
)
def test_any_split_gives_the_same_datagrams(
    nothing_is_left: None,
    echo_udp: UdpServer,
    sizes: list[int],
    noise: list[bytes],
    cuts: list[int],
) -> None:
    """Between good messages stands what is dropped: each begins with a fragment's number."""
    wire, expected = ASSOCIATE, []
    for number in range(max(len(sizes), len(noise))):
        if number < len(noise):
            wire += framed(b"\0\0\1" + noise[number])
        if number < len(sizes):
            expected.append(bytes([number]) * sizes[number])
            wire += framed(message(echo_udp.host, echo_udp.port, expected[-1]))
    edges = sorted({cut % (len(wire) + 1) for cut in cuts} | {0, len(wire)})
    pieces = [wire[a:b] for a, b in itertools.pairwise(edges)]
    with contextlib.closing(Engine()) as engine, contextlib.closing(Peer(engine, "agent")) as peer:
        assert converse(peer, 1, pieces, len(expected)) == expected
        assert engine.counters()["datagrams_dropped"] == len(noise)


def test_an_end_within_a_message_is_an_end(agent: Peer, engine: Engine) -> None:
    agent.sock.sendall(yamux.data(1, ASSOCIATE + b"\xff\xff" + bytes(1000), yamux.SYN))
    agent.sock.sendall(yamux.data(1, b"", yamux.FIN))
    assert payload(agent.frames(1)) == REPLY
    assert engine.counters()["blocks_used"] <= 1


@pytest.fixture
def laptop(engine: Engine) -> Iterator[tuple[Peer, Association]]:
    """An engine as the laptop, the oracle as its agent; an association without its reply."""
    with contextlib.closing(Peer(engine, "laptop")) as peer:
        server = SocksServer(engine, listener(), tunnel=peer.tunnel)
        with contextlib.closing(Association(server.port)) as client:
            client.send("192.0.2.1", 7, b"early")
            assert peer.more(1) == ASSOCIATE
            assert peer.more(1) == framed(message("192.0.2.1", 7, b"early"))
            yield peer, client


def test_every_split_of_the_agents_side(engine: Engine) -> None:
    wire = REPLY + framed(message("192.0.2.1", 7, b"answer"))
    with contextlib.closing(Peer(engine, "laptop")) as peer:
        server = SocksServer(engine, listener(), tunnel=peer.tunnel)
        for number, cut in enumerate(range(1, len(wire))):
            stream = 2 * number + 1
            with contextlib.closing(Association(server.port)) as client:
                client.send("192.0.2.1", 7, b"x")
                while not peer.more(stream).endswith(b"x"):
                    pass
                peer.sock.sendall(yamux.data(stream, wire[:cut]) + yamux.data(stream, wire[cut:]))
                assert client.receive() == ("192.0.2.1", 7, b"answer")


@pytest.mark.parametrize(
    "wire",
    [
        yamux.data(1, b"\5\7\0\1" + bytes(6)),  # an agent that knows no UDP
        yamux.data(1, b"HTTP/1.1 400"),
        yamux.data(1, REPLY, yamux.FIN),
        yamux.make(yamux.WINDOW, yamux.RST, 1, 0),
    ],
)
def test_an_agent_that_ends_it_ends_the_clients_connection(
    laptop: tuple[Peer, Association], wire: bytes
) -> None:
    peer, client = laptop
    peer.sock.sendall(wire)
    with contextlib.suppress(ConnectionResetError):
        assert client.tcp.recv(1) == b""
    assert peer.tunnel.stats()["streams"] == 0


def test_the_agent_may_say_anything_to_the_client(laptop: tuple[Peer, Association]) -> None:
    """Its word is passed on as it is, whatever its length."""
    peer, client = laptop
    peer.sock.sendall(
        yamux.data(1, REPLY + framed(b"") + framed(b"\xff" * 10) + framed(bytes(65_535)))
    )
    assert client.udp.recv(100) == b""
    assert client.udp.recv(100) == b"\xff" * 10
    peer.sock.sendall(yamux.data(1, framed(message("192.0.2.1", 7, b"still"))))
    assert client.receive()[2] == b"still"


def test_a_peer_that_reads_nothing_costs_bounded_memory(
    engine: Engine, laptop: tuple[Peer, Association]
) -> None:
    peer, client = laptop
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for _ in range(1000):
        client.send("192.0.2.1", 7, bytes(60_000))
    client.send("192.0.2.1", 7, b"last")
    counters = engine.counters()
    assert counters["datagrams_dropped"] > 0
    assert counters["blocks_used"] * 65_536 <= 2**20
