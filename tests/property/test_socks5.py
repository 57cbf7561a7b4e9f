"""The C codec and its Python oracle agree on every message, every split and any nonsense."""

import errno
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telepresence._preload_ffi import ffi, lib

import socks5_oracle as oracle

Outcome = tuple[int, object] | str | None

names = st.binary(min_size=1, max_size=255).filter(lambda name: 0 not in name)
ports = st.integers(0, 65535)
addresses = st.one_of(
    st.builds(oracle.Address, st.just(1), st.binary(min_size=4, max_size=4), ports),
    st.builds(oracle.Address, st.just(4), st.binary(min_size=16, max_size=16), ports),
    st.builds(oracle.Address, st.just(3), names, ports),
)
octets = st.integers(0, 255)
short = st.binary(max_size=255)
# Bytes that begin as messages do reach further than plain noise.
noise = st.one_of(
    st.binary(max_size=600),
    st.builds(
        bytes.__add__, st.sampled_from([b"\5", b"\1", b"\5\0", b"\5\2"]), st.binary(max_size=300)
    ),
    st.builds(
        lambda head, tail: head + tail,
        st.builds(lambda code, atyp: bytes([5, code, 0, atyp]), octets, st.integers(0, 5)),
        st.binary(max_size=270),
    ),
)


def exactly(data: bytes) -> object:
    """On the heap with not one byte behind it, for sanitizers and valgrind."""
    return ffi.new("uint8_t[]", data) if data else ffi.NULL


def address_of(raw: object) -> oracle.Address:
    host = bytes(ffi.buffer(raw.host, raw.host_len))  # type: ignore[attr-defined]
    return oracle.Address(raw.atyp, host, raw.port)  # type: ignore[attr-defined]


def to_c(address: oracle.Address) -> object:
    raw = ffi.new("struct socks5_addr *")
    raw.atyp, raw.host_len, raw.port = address.atyp, len(address.host), address.port
    ffi.memmove(raw.host, address.host, len(address.host))
    return raw


def c_greeting(data: bytes) -> Outcome:
    out = ffi.new("struct socks5_greeting *")
    n = lib.socks5_take_greeting(exactly(data), len(data), out)
    return (n, bytes(ffi.buffer(out.methods, out.n_methods))) if n > 0 else said(n)


def c_userpass(data: bytes) -> Outcome:
    out = ffi.new("struct socks5_userpass *")
    n = lib.socks5_take_userpass(exactly(data), len(data), out)
    if n <= 0:
        return said(n)
    assert out.user[out.user_len] == 0  # for C, which reads it as a string
    user, password = (
        ffi.buffer(out.user, out.user_len),
        ffi.buffer(getattr(out, "pass"), out.pass_len),
    )
    return n, (bytes(user), bytes(password))


def c_request(data: bytes) -> Outcome:
    out = ffi.new("struct socks5_request *")
    n = lib.socks5_take_request(exactly(data), len(data), out)
    return (n, (out.cmd, address_of(out.addr))) if n > 0 else said(n)


def c_answer(data: bytes) -> Outcome:
    out = ffi.new("struct socks5_answer *")
    n = lib.socks5_take_answer(exactly(data), len(data), out)
    return (n, (out.code, address_of(out.addr))) if n > 0 else said(n)


def c_datagram(data: bytes) -> Outcome:
    out = ffi.new("struct socks5_addr *")
    n = lib.socks5_take_datagram(exactly(data), len(data), out)
    return (n, address_of(out)) if n > 0 else said(n)


def said(n: int) -> Outcome:
    return None if n == 0 else errno.errorcode[-n]


def from_oracle(take: Callable[[bytes], oracle.Taken], data: bytes) -> Outcome:
    try:
        return take(data)
    except oracle.RefusedError as refused:
        return str(refused) or "EPROTO"


PAIRS = [
    (c_greeting, oracle.take_greeting),
    (c_userpass, oracle.take_userpass),
    (c_request, oracle.take_message),
    (c_answer, oracle.take_message),
    (c_datagram, oracle.take_datagram),
]


def agree(data: bytes) -> None:
    for from_c, take in PAIRS:
        assert from_c(data) == from_oracle(take, data)


@given(noise)
def test_nonsense_is_judged_alike(data: bytes) -> None:
    agree(data)


@given(octets, addresses, short)
def test_messages_at_every_split_and_with_more_behind(
    code: int, address: oracle.Address, behind: bytes
) -> None:
    message = oracle.make_message(code, address)
    for end in range(len(message)):
        assert c_request(message[:end]) is None
    whole = (len(message), (code, address))
    assert c_request(message + behind) == c_answer(message + behind) == whole


@given(short, short, short)
def test_greetings_and_passwords_at_every_split(
    user: bytes, password: bytes, behind: bytes
) -> None:
    login = bytes([1, len(user)]) + user + bytes([len(password)]) + password
    greeting = bytes([5, len(user)]) + user
    for end in range(len(login)):
        assert c_userpass(login[:end]) is None
    for end in range(len(greeting)):
        assert c_greeting(greeting[:end]) is None
    assert c_userpass(login + behind) == (len(login), (user, password))
    assert c_greeting(greeting + behind) == (len(greeting), user)


@given(octets, addresses)
def test_what_c_makes_the_oracle_takes(code: int, address: oracle.Address) -> None:
    message = oracle.make_message(code, address)
    for make in (lib.socks5_make_request, lib.socks5_make_reply):
        for room in range(len(message)):
            assert (
                make(ffi.new("uint8_t[]", room) if room else ffi.NULL, room, code, to_c(address))
                == -errno.ENOBUFS
            )
        buf = ffi.new("uint8_t[]", len(message))
        assert make(buf, len(message), code, to_c(address)) == len(message)
        assert bytes(ffi.buffer(buf)) == message


@given(addresses, st.binary(min_size=2, max_size=2), octets, short)
def test_datagrams_are_whole_and_no_fragments(
    address: oracle.Address, reserved: bytes, fragment: int, payload: bytes
) -> None:
    header = oracle.make_datagram(address)
    for end in range(len(header)):
        assert c_datagram(header[:end]) == "EPROTO"
        assert lib.socks5_make_datagram(ffi.NULL, end, to_c(address)) == -errno.ENOBUFS
    buf = ffi.new("uint8_t[]", len(header))
    assert lib.socks5_make_datagram(buf, len(header), to_c(address)) == len(header)
    assert bytes(ffi.buffer(buf)) == header
    assert c_datagram(reserved + header[2:] + payload) == (len(header), address)
    fragmented = reserved + bytes([fragment]) + header[3:] + payload
    assert c_datagram(fragmented) == ((len(header), address) if fragment == 0 else "EPROTO")


@given(short, short)
def test_greetings_and_passwords_come_back(user: bytes, password: bytes) -> None:
    buf = ffi.new("uint8_t[]", lib.SOCKS5_USERPASS_MAX)
    n = lib.socks5_make_userpass(buf, len(buf), user, len(user), password, len(password))
    assert oracle.take_userpass(bytes(ffi.buffer(buf, n))) == (n, (user, password))
    n = lib.socks5_make_greeting(buf, len(buf), user, len(user))
    assert oracle.take_greeting(bytes(ffi.buffer(buf, n))) == (n, user)


def c_replies(data: bytes, with_password: bool) -> tuple[Outcome, int]:
    out, need = ffi.new("struct socks5_answer *"), ffi.new("size_t *")
    n = lib.handshake_take(exactly(data), len(data), with_password, out, need)
    return ((n, address_of(out.addr)) if n > 0 else said(n)), need[0]


@given(noise, st.booleans())
def test_handshakes_of_nonsense_are_judged_alike(data: bytes, with_password: bool) -> None:
    expected = from_oracle(lambda d: oracle.take_replies(d, with_password=with_password), data)
    got, need = c_replies(data, with_password)
    assert got == expected
    assert got is not None or len(data) < need <= lib.HANDSHAKE_REPLIES_MAX


@given(addresses, st.booleans(), st.integers(0, 9))
def test_handshakes_never_ask_for_more_than_will_come(
    address: oracle.Address, with_password: bool, code: int
) -> None:
    replies = (b"\5\2\1\0" if with_password else b"\5\0") + oracle.make_message(code, address)
    for end in range(len(replies)):
        got, need = c_replies(replies[:end], with_password)
        assert got is None
        assert end < need <= len(replies)
    got, _ = c_replies(replies, with_password)
    refused = oracle.ERRORS.get(code, "ECONNABORTED")
    assert got == ((len(replies), address) if code == 0 else refused)


@pytest.mark.parametrize("code", range(10))
def test_errno_and_reply_are_the_same_words(code: int) -> None:
    error = lib.socks5_errno_from_reply(code)
    assert errno.errorcode.get(error, "") == (
        "" if code == 0 else oracle.ERRORS.get(code, "ECONNABORTED")
    )
    assert lib.socks5_reply_from_errno(error) == (code if code in {0, *oracle.ERRORS} else 1)


def parse(text: bytes) -> tuple[int, object]:
    out = ffi.new("struct settings *")
    raw = ffi.new("char[]", text) if text else ffi.NULL
    return lib.settings_parse(raw, len(text), out), out


@given(st.binary(max_size=500))
def test_settings_of_nonsense_are_refused(text: bytes) -> None:
    line, _ = parse(text)
    assert line == 0 or 1 <= line <= text.count(b"\n") + 2
    assert line != 0 or b"TorPort" in text


words = st.binary(min_size=1, max_size=255).filter(
    lambda w: not set(w) & set(b" \t\r\n") and w[0] != ord("#")
)
blanks = st.text(" \t", min_size=1, max_size=3).map(str.encode)


@given(st.integers(1, 65535), words, words, blanks, st.booleans(), st.booleans())
def test_settings_come_through(
    port: int, user: bytes, password: bytes, blank: bytes, pipeline: bool, crlf: bool
) -> None:
    lines = [
        b"# made by hand",
        b"",
        blank + b"TorAddress" + blank + b"::1 # not the default",
        b"TorPort %d" % port,
        b"SOCKS5Username" + blank + user,
        b"SOCKS5Password" + blank + password + blank,
        b"AllowInbound 1",
        b"TelepresencePipeline %d" % pipeline,
    ]
    line, out = parse((b"\r\n" if crlf else b"\n").join(lines))
    assert line == 0
    assert bytes(ffi.buffer(out.user, out.user_len)) == user  # type: ignore[attr-defined]
    assert bytes(ffi.buffer(getattr(out, "pass"), out.pass_len)) == password  # type: ignore[attr-defined]
    assert out.pipeline == pipeline  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"", 1),
        (b"TorPort 9050\n", 0),
        (b"TorPort 9050", 0),
        (b"TorPort 0", 1),
        (b"TorPort 65536", 1),
        (b"TorPort 9050x", 1),
        (b"TorPort -1", 1),
        (b"\n\nTorPort", 3),
        (b"TorPort 1 2", 1),
        (b"TorPort 1\nTorAddress localhost", 2),
        (b"TorPort 1\nTorAddress 127.0.0.1\0", 2),
        (b"TorPort 1\nSOCKS5Username u", 3),
        (b"TorPort 1\nSOCKS5Password p\n", 3),
        (b"TorPort 1\nTelepresencePipeline yes", 2),
        (b"TorPort 1\ntorport 1", 2),
        (b"TorPort 1\nAllowInbound 2", 2),
        (b"TorPort 1\nAllowOutboundLocalhost 2", 0),
        (b"TorPort 1\nAllowOutboundLocalhost 3", 2),
        (b"TorPort 1\nIsolatePID 1", 0),
        (b"TorPort 1\nIsolatePID 1\nSOCKS5Username u\nSOCKS5Password p\n", 5),
        (b"TorPort 1\nOnionAddrRange 127.42.42.0/24", 0),
        (b"TorPort 1\nOnionAddrRange 127.42.42.0", 2),
        (b"TorPort 1\nOnionAddrRange 127.42.42.0/31", 2),
        (b"TorPort 1\nOnionAddrRange ::/24", 2),
        (b"TorPort 1\nTelepresenceNdots 15", 0),
        (b"TorPort 1\nTelepresenceNdots 16", 2),
        (b"TorPort 1\nTelepresenceSearch " + b"x" * 1022, 0),
        (b"TorPort 1\nTelepresenceSearch " + b"x" * 1023, 2),
    ],
)
def test_the_wrong_line_is_named(text: bytes, line: int) -> None:
    assert parse(text)[0] == line


def test_a_search_list_comes_in_its_order() -> None:
    line, out = parse(b"TorPort 1\nTelepresenceSearch a.b\nTelepresenceSearch c\n")
    assert (line, ffi.string(out.search)) == (0, b"a.b c")  # type: ignore[attr-defined]
