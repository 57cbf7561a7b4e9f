"""The bytes behind exposed ports: every split, and a pod that asks for more than it may."""

import contextlib
import errno
import select
from collections.abc import Iterator

import pytest

from telepresence.fastpath import Engine, Listening, TunnelBroken
from test_listen import knock, wait_event
from wires import CONNECT, DEADLINE_S, LISTEN, Server, read_exactly, request
from yamux_peer import Peer, payload, yamux


@pytest.fixture
def agent(engine: Engine) -> Iterator[Peer]:
    with contextlib.closing(Peer(engine, "agent")) as peer:
        yield peer


@pytest.fixture
def laptop(engine: Engine) -> Iterator[Peer]:
    with contextlib.closing(Peer(engine, "laptop")) as peer:
        yield peer


def test_every_split_of_the_request(agent: Peer) -> None:
    wire = request(LISTEN, "0.0.0.0", 0)
    for number, cut in enumerate(range(1, len(wire))):
        stream = 2 * number + 1
        agent.sock.sendall(
            yamux.data(stream, wire[:cut], yamux.SYN) + yamux.data(stream, wire[cut:] + b"noise")
        )
        reply = agent.more(stream)
        assert reply[:4] == b"\5\0\0\4"
        port = int.from_bytes(reply[-2:], "big")
        with knock(port) as sock:
            sock.sendall(b"to the laptop")
            inner = 2 * number + 2
            assert agent.more(inner) == request(CONNECT, "127.0.0.1", port)
            assert agent.more(inner) == b"to the laptop"
            agent.sock.sendall(yamux.data(inner, b"\5\5\0\1" + bytes(6), yamux.FIN))
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        agent.sock.sendall(yamux.data(stream, b"", yamux.FIN))
        agent.frames(stream)
    assert agent.tunnel.stats()["streams"] == 0


def test_every_split_of_the_laptops_reply(agent: Peer) -> None:
    agent.sock.sendall(yamux.data(1, request(LISTEN, "0.0.0.0", 0), yamux.SYN))
    port = int.from_bytes(agent.more(1)[-2:], "big")
    wire = b"\5\0\0\1" + bytes(6) + b"payload"
    for number, cut in enumerate(range(1, len(wire))):
        stream = 2 * number + 2
        with knock(port) as sock:
            assert agent.more(stream) == request(CONNECT, "127.0.0.1", port)
            agent.sock.sendall(yamux.data(stream, wire[:cut]) + yamux.data(stream, wire[cut:]))
            assert read_exactly(sock, 7) == b"payload"


@pytest.mark.parametrize(
    "wire", [b"\5\7\0\1" + bytes(6), b"HTTP/1.1 400", b"\5\x80\0\1" + bytes(6)]
)
def test_every_split_of_the_agents_refusal(engine: Engine, laptop: Peer, wire: bytes) -> None:
    errors = {7: errno.EOPNOTSUPP, 0x80: errno.EADDRINUSE}
    expected = errors.get(wire[1], errno.EPROTO)
    for number, cut in enumerate(range(1, len(wire))):
        stream = 2 * number + 1
        made = laptop.tunnel.listen(80, 8080)
        assert laptop.more(stream) == request(LISTEN, "0.0.0.0", 80)
        laptop.sock.sendall(yamux.data(stream, wire[:cut]) + yamux.data(stream, wire[cut:]))
        assert wait_event(engine) == Listening(laptop.tunnel.number, made.number, 80, expected)
    assert laptop.tunnel.stats()["streams"] == 0


@pytest.mark.parametrize("flag", [yamux.FIN, yamux.RST])
def test_an_agent_that_ends_the_listener_is_told(engine: Engine, laptop: Peer, flag: int) -> None:
    made = laptop.tunnel.listen(80, 8080)
    assert laptop.more(1)
    laptop.sock.sendall(yamux.make(yamux.WINDOW, flag, 1, 0))
    event = wait_event(engine)
    assert event == Listening(laptop.tunnel.number, made.number, 80, errno.ECONNRESET)


def test_a_broken_tunnel_is_told_of_each_listener(engine: Engine, laptop: Peer) -> None:
    laptop.tunnel.listen(80, 8080)
    assert laptop.more(1)
    laptop.sock.sendall(b"\xff" * 12)
    kinds = []
    while len(kinds) < 2:
        assert select.select([engine.event_fd], [], [], DEADLINE_S)[0]
        kinds += [type(event) for event in engine.take_events()]
    assert set(kinds) == {Listening, TunnelBroken}
    with pytest.raises(BrokenPipeError):
        laptop.tunnel.listen(81, 8080)


@pytest.mark.parametrize(
    "words",
    [
        request(CONNECT, "127.0.0.1", 22),
        request(CONNECT, "127.0.0.1", 81),  # not the port that was asked for
        request(LISTEN, "0.0.0.0", 80),
        request(0xF3, "environ", 0),
        request(0xF0, "localhost", 80),
        request(3, "0.0.0.0", 80),
        b"\5\1\0\7",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_the_pod_reaches_no_port_that_is_not_exposed(
    engine: Engine, laptop: Peer, echo_server: Server, words: bytes
) -> None:
    laptop.tunnel.listen(80, echo_server.port)
    assert laptop.more(1)
    laptop.sock.sendall(yamux.data(1, b"\5\0\0\1\0\0\0\0\0\x50"))
    wire = yamux.data(2, words, yamux.SYN) + yamux.data(
        4, request(CONNECT, "192.0.2.1", 80), yamux.SYN
    )
    laptop.sock.sendall(wire + yamux.data(4, b"whatever address it names"))
    frames = laptop.frames(2)
    assert frames[-1].flags & yamux.RST or payload(frames)[1] != 0
    got = b""
    while len(got) < 10 + 25:
        got += laptop.more(4)
    assert (got[:2], got[10:]) == (b"\5\0", b"whatever address it names")
    assert engine.counters()["lookups"] == 0
