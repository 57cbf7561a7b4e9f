"""What a port-forward's server sends is read the same however it is split."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _fastpath.codec import Spdy

ERROR, DATA = 1, 3
SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 2, 3, 4, 6, 7, 8, 9


def data(stream: int, payload: bytes, *, fin: bool = False) -> bytes:
    return struct.pack("!II", stream, fin << 24 | len(payload)) + payload


def control(kind: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack("!HHI", 0x8003, kind, flags << 24 | len(body)) + body


def ping(number: int) -> bytes:
    return control(PING, struct.pack("!I", number))


# Frame, what of it is payload, what must be answered.
Piece = tuple[bytes, bytes, bytes | None]
payloads = st.binary(max_size=300)
pieces = st.one_of(
    payloads.map(lambda p: (data(DATA, p), p, None)),
    st.tuples(st.sampled_from([0, 2, 5, 2**31 - 1]), payloads).map(lambda t: (data(*t), b"", None)),
    st.tuples(
        st.sampled_from([SYN_REPLY, SETTINGS, HEADERS, WINDOW_UPDATE]), payloads, st.integers(0, 2)
    ).map(lambda t: (control(*t), b"", None)),
    st.integers(0, 2**32 - 1).map(lambda n: (ping(n), b"", ping(n))),
)


@given(st.lists(pieces, max_size=8))
def test_every_split_gives_the_same(conversation: list[Piece]) -> None:
    wire = b"".join(frame for frame, *_ in conversation)
    payload = b"".join(part for _, part, _ in conversation)
    pongs = [pong for *_, pong in conversation if pong]
    for at in range(len(wire) + 1):
        reader = Spdy()
        got = b""
        for part in (wire[:at], wire[at:]):
            got += reader.take(part)
        assert got == payload
        assert reader.error == b""
        assert reader.take_pong() == (pongs[-1] if pongs else None)
        assert not reader.closed


@given(st.lists(pieces, max_size=8))
def test_a_byte_at_a_time_gives_the_same_and_every_ping_its_answer(
    conversation: list[Piece],
) -> None:
    reader = Spdy()
    got, pongs = b"", []
    for byte in b"".join(frame for frame, *_ in conversation):
        got += reader.take(bytes([byte]))
        if pong := reader.take_pong():
            pongs.append(pong)
    assert got == b"".join(part for _, part, _ in conversation)
    assert pongs == [pong for *_, pong in conversation if pong]


@pytest.mark.parametrize(
    "ending",
    [
        data(DATA, b"", fin=True),
        control(RST_STREAM, struct.pack("!II", DATA, 5)),
        control(GOAWAY, struct.pack("!II", 3, 0)),
    ],
    ids=["fin", "reset", "go away"],
)
def test_the_end_comes_after_what_was_sent_before_it(ending: bytes) -> None:
    reader = Spdy()
    assert reader.take(data(DATA, b"last") + ending + data(DATA, b"nothing more")) == b"last"
    assert reader.closed


@given(st.binary(min_size=1, max_size=400))
def test_what_the_error_stream_says_is_kept_and_is_the_end(text: bytes) -> None:
    wire = data(DATA, b"before") + data(ERROR, text) + data(DATA, b"after")
    for at in range(len(wire)):
        reader = Spdy()
        assert reader.take(wire[:at]) + reader.take(wire[at:]) == b"before"
        assert reader.error == text[:255]
        assert reader.closed


def test_the_end_of_the_error_stream_is_none() -> None:
    reader = Spdy()
    reader.take(data(ERROR, b"", fin=True))
    assert not reader.closed


@pytest.mark.parametrize(
    "wire",
    [
        struct.pack("!HHI", 0x8002, PING, 4),  # another version
        struct.pack("!HHI", 0x8103, PING, 4),
        control(0, b""),  # no such type
        control(11, b""),
        control(PING, b"12345"),  # of another length
        b"\xff" * 8,
    ],
)
def test_what_is_no_spdy_is_refused(wire: bytes) -> None:
    with pytest.raises(ValueError):
        Spdy().take(wire)


@given(st.binary(max_size=400))
def test_no_bytes_harm_it(noise: bytes) -> None:
    reader = Spdy()
    try:
        got = reader.take(noise)
    except ValueError:
        return
    assert len(got) <= len(noise)
