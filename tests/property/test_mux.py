"""The mux gives the same events however its bytes are split; it judges frames as yamux does."""

from hypothesis import given, settings
from hypothesis import strategies as st

import yamux_oracle as yamux
from _fastpath.codec import Mux

Event = tuple[str, int, bytes | int]

payloads = st.binary(max_size=300)


def merge(events: list[Event]) -> list[Event]:
    """Payload may come in pieces: join what belongs together."""
    joined: list[Event] = []
    for kind, stream, value in events:
        if kind == "data" and joined and joined[-1][:2] == (kind, stream):
            before = joined[-1][2]
            assert isinstance(before, bytes) and isinstance(value, bytes)
            joined[-1] = (kind, stream, before + value)
        else:
            joined.append((kind, stream, value))
    return joined


@st.composite
def conversations(draw: st.DrawFn) -> tuple[bytes, list[Event]]:
    """What a correct client may send, and the events that it must cause."""
    wire = b""
    events: list[Event] = []
    streams: dict[int, int] = {}  # id: payload bytes so far
    following = 1
    for _ in range(draw(st.integers(0, 12))):
        action = draw(st.sampled_from(["open", "data", "credit", "fin", "rst", "pong", "ack"]))
        if action == "open":
            payload = draw(payloads)
            wire += yamux.data(following, payload, yamux.SYN)
            events += [("opened", following, 0)]
            events += [("data", following, payload)] if payload else []
            streams[following] = len(payload)
            following += 2
        elif action == "pong":
            value = draw(st.integers(0, 2**32 - 1))
            wire += yamux.make(yamux.PING, yamux.SYNACK, 0, value)
            events.append(("pong", 0, value))
        elif action == "ack":
            value = draw(st.integers(0, 2**64 - 1))
            wire += yamux.make(yamux.ACK, 0, value >> 32, value & 0xFFFFFFFF)
            events.append(("ack", 0, value))
        elif streams:
            stream = draw(st.sampled_from(sorted(streams)))
            if action == "data":
                payload = draw(payloads)
                wire += yamux.data(stream, payload)
                events += [("data", stream, payload)] if payload else []
            elif action == "credit":
                credit = draw(st.integers(1, 2**20))
                wire += yamux.make(yamux.WINDOW, 0, stream, credit)
                events.append(("credit", stream, 0))
            else:
                flag, kind = (yamux.FIN, "fin") if action == "fin" else (yamux.RST, "reset")
                payload = draw(payloads)
                wire += yamux.data(stream, payload, flag)
                events += [("data", stream, payload)] if payload else []
                events.append((kind, stream, 0))
                del streams[stream]
    return wire, events


@given(conversations())
def test_every_split_gives_the_same_events(conversation: tuple[bytes, list[Event]]) -> None:
    wire, expected = conversation
    assert merge(Mux(client=False).take(wire)) == merge(expected)
    one_by_one = Mux(client=False)
    assert merge([e for b in wire for e in one_by_one.take(bytes([b]))]) == merge(expected)
    for cut in range(len(wire)):
        halves = Mux(client=False)
        assert merge(halves.take(wire[:cut]) + halves.take(wire[cut:])) == merge(expected)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_events_or_a_protocol_error(noise: bytes) -> None:
    outcomes = []
    for pieces in ([noise], [bytes([b]) for b in noise]):
        mux = Mux(client=False)
        events: list[Event] = []
        try:
            for piece in pieces:
                events += mux.take(piece)
        except ValueError:
            outcomes.append(("broken", merge(events)))
        else:
            outcomes.append(("fine", merge(events)))
    # In one piece the events before the error are not given out.
    assert outcomes[0][0] == outcomes[1][0]
    assert outcomes[0][0] == "broken" or outcomes[0] == outcomes[1]


def broken(*frames: bytes, client: bool = False) -> bool:
    try:
        Mux(client=client).take(b"".join(frames))
    except ValueError:
        return True
    return False


def test_more_data_than_the_window_breaks_the_session() -> None:
    opened = yamux.data(1, b"", yamux.SYN)
    fits = yamux.data(1, bytes(yamux.INITIAL_WINDOW))
    assert not broken(opened, fits)
    assert broken(opened, fits, yamux.data(1, b"x"))


def test_credit_beyond_32_bits_breaks_the_session() -> None:
    opened = yamux.data(1, b"", yamux.SYN)
    assert broken(opened, yamux.make(yamux.WINDOW, 0, 1, 2**32 - 1))


def test_a_peer_may_not_open_our_ids_nor_one_twice_nor_stream_0() -> None:
    assert broken(yamux.data(2, b"", yamux.SYN))
    assert broken(yamux.data(1, b"", yamux.SYN), client=True)
    assert broken(yamux.data(1, b"", yamux.SYN), yamux.data(1, b"", yamux.SYN))
    assert broken(yamux.data(0, b""))


def test_unknown_version_type_and_flag_break_the_session() -> None:
    assert broken(b"\1" + yamux.data(1, b"", yamux.SYN)[1:])
    assert broken(yamux.make(7, 0, 1, 0))
    assert broken(yamux.make(yamux.DATA, 16, 1, 0))


def test_frames_of_a_forgotten_stream_are_skipped() -> None:
    mux = Mux(client=False)
    assert mux.take(yamux.data(1, b"", yamux.SYN)) == [("opened", 1, 0)]
    mux.reset(1)
    mux.release(1)
    late = yamux.data(1, b"late") + yamux.make(yamux.WINDOW, 0, 1, 9)
    late += yamux.data(1, b"", yamux.FIN)
    assert mux.take(late) == []


def test_a_ping_is_answered_with_its_value() -> None:
    mux = Mux(client=True)
    assert mux.take(yamux.make(yamux.PING, yamux.SYN, 0, 77)) == []
    assert mux.sent == [yamux.make(yamux.PING, yamux.SYNACK, 0, 77)]


@given(st.lists(st.integers(0, 70_000), max_size=30))
def test_two_muxes_carry_what_was_sent_and_never_pass_the_window(sizes: list[int]) -> None:
    laptop, agent = Mux(client=True), Mux(client=False)
    stream = laptop.open()
    sent = received = 0
    now_us = 0
    for size in sizes:
        now_us += 1_000_000  # a reader that is in no hurry
        size = min(size, laptop.send_window(stream))
        for kind, _, value in agent.take(laptop.data(stream, bytes(size))):
            if kind == "data":
                assert isinstance(value, bytes)
                received += len(value)
                agent.consumed(stream, len(value), now_us)
        sent += size
        for head in agent.sent:
            laptop.take(head)
        agent.sent.clear()
        assert laptop.send_window(stream) == agent.recv_window(stream) <= yamux.INITIAL_WINDOW
    assert sent == received


def test_a_window_that_limits_the_sender_doubles_up_to_16_mib() -> None:
    laptop, agent = Mux(client=True), Mux(client=False)
    agent.rtt_us = 1000
    stream = laptop.open()
    now_us = 10_000
    for _ in range(2000):
        size = min(65_536, laptop.send_window(stream))
        agent.take(laptop.data(stream, bytes(size)))
        agent.consumed(stream, size, now_us)
        now_us += 10  # a fast reader on a long path
        for head in agent.sent:
            laptop.take(head)
        agent.sent.clear()
    assert laptop.send_window(stream) > 8 * 2**20
    assert agent.recv_window(stream) <= 16 * 2**20


@settings(deadline=None)
@given(st.lists(st.integers(1, 60_000), min_size=1, max_size=20), st.integers(500, 70_000))
def test_credit_is_right_when_frames_come_in_pieces(sizes: list[int], cut: int) -> None:
    """What has been consumed of a frame that is still coming is no room yet for the rest of it."""
    laptop, agent = Mux(client=True), Mux(client=False)
    stream = laptop.open()
    wire = b""
    held = now_us = 0  # held: bytes that the owner has not passed on yet
    for size in sizes * 4:
        wire += laptop.data(stream, bytes(min(size, laptop.send_window(stream))))
        while len(wire) >= cut:
            for kind, _, value in agent.take(wire[:cut]):
                if kind == "data":
                    assert isinstance(value, bytes)
                    now_us += 1_000_000
                    held += len(value)
                    agent.consumed(stream, held - held // 2, now_us)
                    held //= 2
            wire = wire[cut:]
            for head in agent.sent:
                laptop.take(head)
            agent.sent.clear()
        assert laptop.send_window(stream) + held <= yamux.INITIAL_WINDOW


def test_a_slow_reader_gets_no_larger_window() -> None:
    laptop, agent = Mux(client=True), Mux(client=False)
    agent.rtt_us = 1000
    stream = laptop.open()
    now_us = 10_000
    for _ in range(100):
        size = min(65_536, laptop.send_window(stream))
        agent.take(laptop.data(stream, bytes(size)))
        agent.consumed(stream, size, now_us)
        now_us += 1_000_000
        for head in agent.sent:
            laptop.take(head)
        agent.sent.clear()
    assert agent.recv_window(stream) <= yamux.INITIAL_WINDOW
