"""How rules know our own questions."""

import ipaddress
import socket

import pytest

from telepresence.method.vpn import ownsockets
from telepresence.method.vpn.ownsockets import PORT_MARKS, PORTS, open_marked

FOUR, SIX = ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_dscp_value_is_set(kind: socket.SocketKind) -> None:
    with open_marked(FOUR, kind, 43) as sock:
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 43 << 2
        assert sock.getsockname()[1] == 0
    with open_marked(SIX, kind, 43) as sock:
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) == 43 << 2


@pytest.mark.parametrize("address", [FOUR, SIX])
@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_port_of_the_marks_own_is_taken(
    kind: socket.SocketKind, address: ipaddress.IPv4Address
) -> None:
    mark = PORT_MARKS[1]
    socks = [open_marked(address, kind, mark) for _ in range(200)]
    ports = {sock.getsockname()[1] for sock in socks}
    for sock in socks:
        assert not sock.getblocking()
        sock.close()
    assert len(ports) == 200 and ports <= {*range(mark, mark + PORTS)}


def test_marks_lie_below_the_ports_that_the_kernel_gives_away() -> None:
    assert PORT_MARKS[-1] + PORTS == 49_152  # RFC 6335: dynamic ports
    assert len(PORT_MARKS) == 8 and min(PORT_MARKS) > 63  # no DSCP value


def test_when_all_are_taken_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownsockets, "PORTS", 1)
    with (
        open_marked(FOUR, socket.SOCK_DGRAM, PORT_MARKS[0]),
        pytest.raises(OSError, match="in use"),
    ):
        open_marked(FOUR, socket.SOCK_DGRAM, PORT_MARKS[0])
