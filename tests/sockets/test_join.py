"""Two tunnels joined behave like one: tests of one tunnel, with an engine in the middle."""

import contextlib
from collections.abc import Iterator

import pytest

import test_listen
import test_tunnel
import test_udp
from telepresence.fastpath import Engine, SocksServer, Tunnel
from wires import Ends, Server, connected_pair, read_exactly

# Run here with the fixtures below.
exposed = test_listen.exposed
client = test_udp.client
echo_udp = test_udp.echo_udp
test_servers_eof = test_tunnel.test_the_servers_eof_keeps_the_clients_side_open
test_clients_eof = test_tunnel.test_eof_on_one_side_keeps_the_other_open
test_reset = test_tunnel.test_a_reset_travels_both_ways
test_early_data = test_tunnel.test_early_data_goes_with_the_request
test_bulk = test_tunnel.test_bytes_arrive_unchanged_in_both_directions
test_stall = test_tunnel.test_a_stalled_stream_does_not_stall_another
test_many = test_tunnel.test_streams_leave_nothing_behind
test_service = test_tunnel.test_a_service_gets_a_socket_of_its_own
test_exposed_eof = test_listen.test_eof_on_one_side_keeps_the_other_open
test_exposed_resets = test_listen.test_resets_travel_both_ways
test_exposed_bulk = test_listen.test_bytes_arrive_unchanged_in_both_directions
test_taken_port = test_listen.test_a_taken_port_is_told_with_its_reason
test_datagrams = test_udp.test_answers_carry_their_true_source
test_big_datagrams = test_udp.test_every_size_up_to_the_biggest


class Chain(Ends):
    """Laptop and agent, with an engine between them that has a tunnel to each."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.middle = Engine()
        self.near = Tunnel(self.middle, role="agent")
        self.far = Tunnel(self.middle, role="laptop")
        self.near.join(self.far)
        for one, other in ((self.laptop_tunnel, self.near), (self.far, self.agent_tunnel)):
            left, right = connected_pair()
            one.attach(left.detach(), 0)
            other.attach(right.detach(), 0)

    def close(self) -> None:
        super().close()
        self.middle.close()


@pytest.fixture
def ends(nothing_is_left: None) -> Iterator[Chain]:
    with contextlib.closing(Chain()) as chain:
        yield chain


@pytest.fixture
def socks(ends: Chain) -> SocksServer:
    return ends.socks


def test_a_tunnel_joins_one_other_of_its_engine(ends: Chain) -> None:
    third = Tunnel(ends.middle, role="agent")
    for one, other in ((third, ends.near), (ends.far, third)):
        with pytest.raises(OSError, match="busy"):
            one.join(other)
    for one, other in ((third, third), (third, Tunnel(ends.laptop, role="laptop"))):
        with pytest.raises(OSError, match="Invalid"):
            one.join(other)


def test_close_of_one_resets_and_separates(ends: Chain, echo_server: Server) -> None:
    with ends.connect("127.0.0.1", echo_server.port) as sock:
        sock.sendall(b"x")
        assert read_exactly(sock, 1) == b"x"
        ends.far.close()
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    ends.near.join(Tunnel(ends.middle, role="laptop"))
