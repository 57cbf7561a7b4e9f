"""The direct way, in front of a TLS server that does what an API server may do."""

import asyncio
import contextlib
import ssl
import struct
import subprocess
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from telepresence.tunnel.apiserver import (
    ApiCarrier,
    Unavailable,
    check_answer,
    make_request,
    open_streams,
)
from telepresence.values import ApiAccess

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
UPGRADED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
    b"X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n"
)
ERROR, DATA = 1, 3
DEADLINE_S = 10.0


def access(certificate: Path | None, port: int = 6443, **change: object) -> ApiAccess:
    values: dict[str, object] = {
        "host": "127.0.0.1", "port": port, "prefix": "", "server_name": "127.0.0.1",
        "ca_file": certificate and str(certificate), "cert_file": None, "key_file": None,
        "verify": True, "headers": {"authorization": "Bearer t0ken"},
    }  # fmt: skip
    return ApiAccess(**{**values, **change})  # type: ignore[arg-type] # names checked by the class


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1, in one file."""
    place = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", place, "-out", place.with_name("certificate")],
        check=True, capture_output=True,
    )  # fmt: skip
    place.write_bytes(place.read_bytes() + place.with_name("certificate").read_bytes())
    return place


@contextlib.asynccontextmanager
async def serving(certificate: Path, handle: Handler) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await handle(reader, writer)
        writer.close()

    server = await asyncio.start_server(closing, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """First half of the head, payload."""
    first, second = struct.unpack("!II", await reader.readexactly(8))
    return first, await reader.readexactly(second & 0xFFFFFF)


def frame(stream: int, payload: bytes) -> bytes:
    return struct.pack("!II", stream, len(payload)) + payload


async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    request = await reader.readuntil(b"\r\n\r\n")
    writer.write(UPGRADED)
    for _ in range(2):
        await read_frame(reader)
    return request


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await upgrade(reader, writer)
    while True:
        stream, payload = await read_frame(reader)
        assert stream == DATA
        writer.write(frame(DATA, payload))


async def connect(port: int, certificate: Path | None, **change: object) -> ApiCarrier:
    async with asyncio.timeout(DEADLINE_S):
        return await ApiCarrier.connect(
            access(certificate, port, **change), namespace="prod", pod="p-1", port=9040
        )


def run_against(
    certificate: Path, handle: Handler, scene: Callable[[int], Awaitable[None]]
) -> None:
    async def whole() -> None:
        async with serving(certificate, handle) as port:
            await scene(port)

    asyncio.run(whole())


def test_bytes_come_back(certificate: Path) -> None:
    async def scene(port: int) -> None:
        with contextlib.closing(await connect(port, certificate)) as carrier:
            await carrier.send(b"hello")
            assert await carrier.recv(5) == b"hello"
            await carrier.send(b"x" * 100_000)
            got = b""
            while len(got) < 100_000:
                got += await carrier.recv(65_536)
            assert got == b"x" * 100_000

    run_against(certificate, echo, scene)


def test_the_request_is_kubectls_and_carries_the_credentials(certificate: Path) -> None:
    request = make_request(access(None, prefix="/k8s"), "/api/v1/x").decode().split("\r\n")
    assert request[0] == "POST /k8s/api/v1/x HTTP/1.1"
    assert "Upgrade: SPDY/3.1" in request
    assert "authorization: Bearer t0ken" in request
    assert request[-2:] == ["", ""]


def test_a_credential_with_a_line_break_is_refused_and_not_shown() -> None:
    with pytest.raises(Unavailable) as caught:
        make_request(access(None, headers={"authorization": "Bearer a\r\nX: b"}), "/")
    assert "Bearer" not in str(caught.value)


def test_the_streams_are_named_as_kubernetes_wants() -> None:
    data, at, squeezed = open_streams(9040), 0, zlib.decompressobj()
    found = []
    while at < len(data):
        first, second = struct.unpack_from("!II", data, at)
        assert first == 0x80030001  # control, version 3, SYN_STREAM
        end = at + 8 + (second & 0xFFFFFF)
        (stream,) = struct.unpack_from("!I", data, at + 8)
        block = squeezed.decompress(data[at + 18 : end])
        words, place = [], 4
        while place < len(block):
            (size,) = struct.unpack_from("!I", block, place)
            words.append(block[place + 4 : place + 4 + size].decode())
            place += 4 + size
        assert struct.unpack_from("!I", block) == (len(words) // 2,)
        found.append((stream, second >> 24, dict(zip(words[::2], words[1::2], strict=True))))
        at = end
    same = {"port": "9040", "requestid": "0"}
    assert found == [
        (ERROR, 1, {"streamtype": "error", **same}),
        (DATA, 0, {"streamtype": "data", **same}),
    ]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403 Forbidden"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "SPDY/3.1"),
        (b"\xff\r\n\r\n", "answers"),
    ],
)
def test_what_is_no_upgrade_is_told_and_kubectl_is_the_way(answer: bytes, words: str) -> None:
    with pytest.raises(Unavailable, match=words):
        check_answer(answer)
    check_answer(UPGRADED)


def test_a_refusal_on_the_wire_is_told(certificate: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")

    async def scene(port: int) -> None:
        with pytest.raises(Unavailable, match="503"):
            await connect(port, certificate)

    run_against(certificate, refuse, scene)


@pytest.mark.parametrize("after", [b"", UPGRADED[:30]])
def test_an_answer_that_breaks_off_is_an_error(certificate: Path, after: bytes) -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(after)

    async def scene(port: int) -> None:
        with pytest.raises(OSError):
            await connect(port, certificate)

    run_against(certificate, leave, scene)


def test_what_the_error_stream_says_is_told(certificate: Path) -> None:
    async def fail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade(reader, writer)
        writer.write(frame(ERROR, b"connection refused in the pod"))

    async def scene(port: int) -> None:
        carrier = await connect(port, certificate)
        with (
            contextlib.closing(carrier),
            pytest.raises(ConnectionError, match="refused in the pod"),
        ):
            await carrier.recv(17)

    run_against(certificate, fail, scene)


def test_an_end_comes_after_the_last_bytes(certificate: Path) -> None:
    async def last(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade(reader, writer)
        writer.write(frame(DATA, b"last"))

    async def scene(port: int) -> None:
        with contextlib.closing(await connect(port, certificate)) as carrier:
            assert await carrier.recv(100) == b"last"
            assert await carrier.recv(100) == b""

    run_against(certificate, last, scene)


def test_a_ping_is_answered(certificate: Path) -> None:
    ping = struct.pack("!HHII", 0x8003, 6, 4, 2)
    answered: list[tuple[int, bytes]] = []

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade(reader, writer)
        writer.write(ping + frame(DATA, b"x"))
        answered.append(await read_frame(reader))

    async def scene(port: int) -> None:
        with contextlib.closing(await connect(port, certificate)) as carrier:
            assert await carrier.recv(1000) == b"x"
            assert await carrier.recv(1) == b""

    run_against(certificate, ask, scene)
    assert answered == [(0x80030006, struct.pack("!I", 2))]


@pytest.mark.parametrize(
    "change", [{"server_name": "127.0.0.2"}, {"server_name": "other"}, {"ca_file": None}]
)
def test_a_certificate_that_is_not_believed(certificate: Path, change: dict[str, object]) -> None:
    async def scene(port: int) -> None:
        with pytest.raises(OSError, match="the API server's certificate"):
            await connect(port, certificate, **change)

    run_against(certificate, echo, scene)


def test_a_certificate_is_believed_when_that_is_said(certificate: Path) -> None:
    async def scene(port: int) -> None:
        (await connect(port, certificate, ca_file=None, verify=False)).close()

    run_against(certificate, echo, scene)


@pytest.mark.parametrize(
    ("field", "words"),
    [("ca_file", "authority's file"), ("cert_file", "client cert"), ("key_file", "client key")],
)
def test_a_file_that_is_no_good_is_named(
    certificate: Path, field: str, words: str, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")

    async def scene(port: int) -> None:
        with pytest.raises(OSError, match=words):
            await connect(port, certificate, **{field: str(bad)})

    run_against(certificate, echo, scene)


def test_nobody_there_is_an_error() -> None:
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(connect(1, None))
