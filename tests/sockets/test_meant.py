"""Redirected connections whose destination another process has to say: src/_fastpath/meant.h."""

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from telepresence.fastpath import RedirectServer
from wires import DEADLINE_S, Ends, Server, echo, read_exactly

QUESTION, ANSWER = struct.Struct("!BxHH16s16s"), struct.Struct("!BxH16s")


@dataclass
class Asked:
    """An engine's redirected door, and what it asks."""

    door: tuple[str, int]
    oracle: socket.socket

    def dial(self) -> socket.socket:
        return socket.create_connection(self.door, DEADLINE_S)

    def question(self) -> tuple[int, tuple[str, int], tuple[str, int]]:
        version, port, our_port, host, our_host = QUESTION.unpack(
            read_exactly(self.oracle, QUESTION.size)
        )
        family, size = (socket.AF_INET, 4) if version == 4 else (socket.AF_INET6, 16)
        assert not any(host[size:] + our_host[size:])
        program, ours = (socket.inet_ntop(family, each[:size]) for each in (host, our_host))
        return version, (program, port), (ours, our_port)

    def answer(self, host: str, port: int) -> bytes:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return ANSWER.pack(6 if ":" in host else 4, port, socket.inet_pton(family, host))


@contextlib.contextmanager
def asked_at(ends: Ends, host: str) -> Iterator[Asked]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    door = socket.create_server((host, 0), family=family, backlog=512)
    place = door.getsockname()[:2]
    oracle, theirs = socket.socketpair()
    oracle.settimeout(DEADLINE_S)
    server = RedirectServer(ends.laptop, door, tunnel=ends.laptop_tunnel, asked=theirs)
    with oracle:
        yield Asked(place, oracle)
        server.close()


@pytest.fixture
def asked(ends: Ends) -> Iterator[Asked]:
    with asked_at(ends, "127.0.0.1") as made:
        yield made


@pytest.fixture
def server() -> Iterator[Server]:
    with contextlib.closing(Server(echo)) as made:
        yield made


def works(sock: socket.socket, said: bytes = b"hello") -> bool:
    sock.sendall(said)
    return read_exactly(sock, len(said)) == said


def is_reset(sock: socket.socket) -> bool:
    try:
        sock.recv(1)
    except ConnectionResetError:
        return True
    return False


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_both_ends_are_asked_about_and_the_answer_is_followed(host: str, ends: Ends) -> None:
    with (
        contextlib.closing(Server(echo, host)) as server,
        asked_at(ends, host) as asked,
        asked.dial() as sock,
    ):
        version, program, ours = asked.question()
        assert version == (6 if ":" in host else 4)
        assert (program, ours) == (sock.getsockname()[:2], sock.getpeername()[:2])
        asked.oracle.sendall(asked.answer(host, server.port))
        assert works(sock)


def test_an_answer_in_pieces_and_many_at_once(asked: Asked, server: Server) -> None:
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(asked.dial()) for _ in range(3)]
        programs = [asked.question()[1] for _ in socks]
        assert programs == [sock.getsockname() for sock in socks]
        for byte in asked.answer("127.0.0.1", server.port):
            asked.oracle.sendall(bytes([byte]))
        assert works(socks[0])
        asked.oracle.sendall(asked.answer("127.0.0.1", server.port) * 2)
        assert all(works(sock, b"%03d" % number) for number, sock in enumerate(socks))


def test_what_nobody_knows_is_reset_and_so_is_the_listener_itself(asked: Asked) -> None:
    for answer in (ANSWER.pack(0, 0, b""), asked.answer(*asked.door)):
        with asked.dial() as sock:
            asked.question()
            asked.oracle.sendall(answer)
            assert is_reset(sock)


def test_a_question_that_nobody_takes_stays_until_somebody_does(
    asked: Asked, server: Server
) -> None:
    """More than a socket holds are waiting; what the engine does besides goes on."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(asked.dial()) for _ in range(400)]
        time.sleep(0.05)
        for _ in socks:
            asked.question()
            asked.oracle.sendall(asked.answer("127.0.0.1", server.port))
        assert all(works(sock) for sock in socks)


@pytest.mark.parametrize("how", ["end of file", "an answer to nothing"])
def test_without_who_answers_connections_are_reset(how: str, asked: Asked) -> None:
    with asked.dial() as first:
        asked.question()
        if how == "end of file":
            asked.oracle.close()
        else:
            asked.oracle.sendall(ANSWER.pack(0, 0, b"") * 2)
        assert is_reset(first)
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            try:
                with asked.dial() as sock:
                    sock.recv(1)
            except ConnectionResetError:  # maybe before connect() has looked
                return
        pytest.fail("a connection waits for nobody")


def test_closing_the_server_ends_those_that_wait(ends: Ends) -> None:
    with asked_at(ends, "127.0.0.1") as asked:
        sock = asked.dial()
        asked.question()
    with sock:
        assert is_reset(sock)
