"""SOCKS5 with Tor's extensions, with a tunnel behind it and without."""

import socket
from collections.abc import Iterator

import pytest

from telepresence.fastpath import Engine, SocksServer
from wires import (
    BIND,
    CONNECT,
    LISTEN,
    RESOLVE,
    RESOLVE_PTR,
    SERVICE,
    Ends,
    Server,
    echo,
    listener,
    open_socks,
    read_exactly,
    read_reply,
    request,
)


@pytest.fixture(params=["tunnel", "direct"])
def port(request: pytest.FixtureRequest, ends: Ends, engine: Engine) -> Iterator[int]:
    """Port of a SOCKS server; the two kinds must not be told apart by a client."""
    if request.param == "tunnel":
        yield ends.socks.port
    else:
        yield SocksServer(engine, listener()).port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 20)


def free_port() -> int:
    with listener() as door:
        return int(door.getsockname()[1])


def test_connect_by_address_and_by_name(port: int, echo_server: Server) -> None:
    for host in ("127.0.0.1", "localhost"):
        with open_socks(port, request(CONNECT, host, echo_server.port)) as sock:
            assert read_reply(sock)[0] == 0
            sock.sendall(b"hello")
            assert read_exactly(sock, 5) == b"hello"


def test_connect_over_ipv6(port: int) -> None:
    server = Server(echo, "::1")
    with open_socks(port, request(CONNECT, "::1", server.port)) as sock:
        code, host, _ = read_reply(sock)
        assert (code, host) == (0, "::1")
        sock.sendall(b"six")
        assert read_exactly(sock, 3) == b"six"
    server.close()


def test_every_split_of_the_handshake(port: int, echo_server: Server) -> None:
    wire = b"\5\1\0" + request(CONNECT, "localhost", echo_server.port) + b"early"
    for cut in range(1, len(wire)):
        with connect(port) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(wire[:cut])
            if cut >= 3:
                assert read_exactly(sock, 2) == b"\5\0"
            sock.sendall(wire[cut:])
            if cut < 3:
                assert read_exactly(sock, 2) == b"\5\0"
            assert read_reply(sock)[0] == 0
            assert read_exactly(sock, 5) == b"early"


@pytest.mark.parametrize("cmd", [BIND, LISTEN, SERVICE, 0, 0x42])
def test_commands_that_are_not_served_are_named_so(port: int, cmd: int) -> None:
    with open_socks(port, request(cmd, "127.0.0.1", 1)) as sock:
        assert read_reply(sock)[0] == 7
        assert sock.recv(1) == b""


def test_unknown_address_type(port: int) -> None:
    with open_socks(port, b"\5\1\0\7\0\0\0\0\0\0") as sock:
        assert read_reply(sock)[0] == 8
        assert sock.recv(1) == b""


def test_no_acceptable_method(port: int) -> None:
    with connect(port) as sock:
        sock.sendall(b"\5\1\1")
        assert read_exactly(sock, 2) == b"\5\xff"
        assert sock.recv(1) == b""


@pytest.mark.parametrize("noise", [b"\4\1\0\0", b"GET / HTTP/1.0\r\n\r\n", b"\0" * 64])
def test_another_protocol_is_closed(port: int, noise: bytes, echo_server: Server) -> None:
    with connect(port) as sock:
        sock.sendall(noise)
        try:
            assert sock.recv(1) == b""
        except ConnectionResetError:
            pass  # bytes that were never read
    test_connect_by_address_and_by_name(port, echo_server)


def test_failures_carry_their_reason(port: int) -> None:
    with open_socks(port, request(CONNECT, "127.0.0.1", free_port())) as sock:
        assert read_reply(sock)[0] == 5
    with open_socks(port, request(CONNECT, "no-such-host.invalid", 80)) as sock:
        assert read_reply(sock)[0] in (1, 4)  # 1: this machine has no resolver that answers
    with open_socks(port, request(CONNECT, "255.255.255.255", 80)) as sock:
        assert read_reply(sock)[0] in (1, 3)


def test_resolve(port: int) -> None:
    for name, expected in (("localhost", ("127.0.0.1", "::1")), ("192.0.2.7", ("192.0.2.7",))):
        with open_socks(port, request(RESOLVE, name, 0)) as sock:
            code, host, _ = read_reply(sock)
            assert code == 0
            assert host in expected
            assert sock.recv(1) == b""


@pytest.mark.parametrize(("want", "version"), [(4, "."), (6, ":"), (46, "")])
def test_resolve_tells_all_addresses_that_are_wanted(port: int, want: int, version: str) -> None:
    """The port of a RESOLVE is the family; each address comes in a reply of its own."""
    found = {info[4][0] for info in socket.getaddrinfo("localhost", None)}
    with open_socks(port, request(RESOLVE, "localhost", want)) as sock:
        data = b"".join(iter(lambda: sock.recv(4096), b""))
    told = []
    while data:
        size = 16 if data[3] == 4 else 4
        family = socket.AF_INET6 if size == 16 else socket.AF_INET
        assert data[:2] == b"\5\0"
        told.append(socket.inet_ntop(family, data[4 : 4 + size]))
        data = data[6 + size :]
    assert len(told) == len(set(told)) > 0
    assert set(told) == {host for host in found if version in str(host)} or len(told) == 1


def test_reverse_resolve(port: int) -> None:
    with open_socks(port, request(RESOLVE_PTR, "127.0.0.1", 0)) as sock:
        assert read_reply(sock)[:2] == (0, socket.gethostbyaddr("127.0.0.1")[0])
    with open_socks(port, request(RESOLVE_PTR, "localhost", 0)) as sock:
        assert read_reply(sock)[0] == 8


def test_password_is_asked_and_compared(engine: Engine, echo_server: Server) -> None:
    door = listener()
    port = SocksServer(engine, door, username="me", password="secret").port
    for word, status in ((b"secret", 0), (b"secreT", 1), (b"", 1), (b"secret2", 1)):
        with connect(port) as sock:
            sock.sendall(b"\5\2\0\2" + b"\1\2me" + bytes([len(word)]) + word)
            assert read_exactly(sock, 2) == b"\5\2"
            assert read_exactly(sock, 2) == bytes([1, status])
            if status:
                assert sock.recv(1) == b""
                continue
            sock.sendall(request(CONNECT, "127.0.0.1", echo_server.port))
            assert read_reply(sock)[0] == 0
    with connect(port) as sock:
        sock.sendall(b"\5\1\0")
        assert read_exactly(sock, 2) == b"\5\xff"


def test_a_closed_server_refuses_and_leaves_connections_alone(
    engine: Engine, echo_server: Server
) -> None:
    server = SocksServer(engine, listener())
    with open_socks(server.port, request(CONNECT, "127.0.0.1", echo_server.port)) as sock:
        assert read_reply(sock)[0] == 0
        server.close()
        server.close()
        with pytest.raises(ConnectionRefusedError):
            connect(server.port)
        sock.sendall(b"alive")
        assert read_exactly(sock, 5) == b"alive"


def test_hundreds_of_clients_at_once(port: int, echo_server: Server) -> None:
    message = request(CONNECT, "127.0.0.1", echo_server.port)
    socks = [open_socks(port, message) for _ in range(300)]
    for number, sock in enumerate(socks):
        assert read_reply(sock)[0] == 0
        sock.sendall(b"%03d" % number)
    for number, sock in enumerate(socks):
        assert read_exactly(sock, 3) == b"%03d" % number
        sock.close()
