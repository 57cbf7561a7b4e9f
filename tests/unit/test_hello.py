"""The messages that begin a carrier: every split, every refusal."""

import pytest

from telepresence import hello
from telepresence.errors import ProtocolError

SESSION, SECRET = bytes(range(16)), bytes(range(32))


def test_hello_is_read_at_every_split() -> None:
    wire = hello.make_hello(SESSION, SECRET, 2**40)
    for size in range(len(wire)):
        assert hello.take_hello(wire[:size]) is None
    client = hello.take_hello(wire)
    assert client == hello.Hello(session=SESSION, secret=SECRET, received=2**40)


def test_welcome_and_refusals_are_read_at_every_split() -> None:
    for wire, expected in (
        (hello.make_welcome(7), hello.Welcome(code=hello.Code.WELCOME, received=7)),
        (
            hello.make_refusal(hello.Code.WRONG_SECRET),
            hello.Welcome(code=hello.Code.WRONG_SECRET, received=0),
        ),
    ):
        for size in range(len(wire)):
            assert hello.take_welcome(wire[:size]) is None
        assert hello.take_welcome(wire) == expected


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.1", b"\0", b"TPHELLP", b"TPWELCOME!"])
def test_another_protocol_is_refused_at_its_first_wrong_byte(noise: bytes) -> None:
    with pytest.raises(ProtocolError):
        hello.take_hello(noise)


def test_another_version_is_refused_with_an_answer() -> None:
    wire = bytearray(hello.make_hello(SESSION, SECRET, 0))
    wire[7] += 1
    with pytest.raises(ProtocolError) as caught:
        hello.take_hello(bytes(wire[:8]))
    assert caught.value.reply == hello.make_refusal(hello.Code.WRONG_VERSION)
    assert "image" in caught.value.hint


def test_who_has_an_agent_is_said_without_what_would_move_the_cursor() -> None:
    wire = hello.make_in_use("eve\x1b[2J\n" + "é" * 300)
    welcome = hello.take_welcome(wire)
    assert welcome is not None
    assert welcome.code is hello.Code.IN_USE
    text = wire[hello.WELCOME_BYTES :]
    assert len(text) == welcome.received
    assert text.decode() == "eve[2J" + "é" * 194
    assert hello.printable("a\x9b\u202eb") == "ab"


def test_an_unknown_code_is_refused() -> None:
    wire = bytearray(hello.make_welcome(0))
    wire[8] = 99
    with pytest.raises(ProtocolError, match="99"):
        hello.take_welcome(bytes(wire))


def test_the_secret_is_not_shown() -> None:
    client = hello.Hello(session=SESSION, secret=SECRET, received=0)
    assert SECRET.hex() not in repr(client)
    assert repr(SECRET) not in repr(client)


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        hello.make_hello(b"", SECRET, 0)
