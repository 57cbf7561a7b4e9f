"""The shim and the project's own SOCKS server: a program sees what it sees without both."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from services import DatagramService, Service, bound, echo
from shim_rig import Rig
from telepresence.fastpath import Engine, SocksServer, Tunnel

WAYS = [
    "blocking",
    "restart",
    "poll",
    "many",
    "select",
    "epoll",
    "edge",
    "early",
    "again",
    "asking",
]


@pytest.fixture(scope="module")
def own_address() -> str:
    """An address of this machine that is not loopback, which the shim would leave alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # sends nothing
        except OSError as error:
            pytest.skip(f"no address but loopback: {error.strerror}")
        address: str = sock.getsockname()[0]
    return address


def joined(laptop: Engine, agent: Engine) -> Tunnel:
    """The laptop's end of a tunnel whose other end is an agent's."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        near = socket.create_connection(door.getsockname())
        far, _ = door.accept()
    Tunnel(agent, role="agent").attach(far.detach(), 0)
    tunnel = Tunnel(laptop, role="laptop")
    tunnel.attach(near.detach(), 0)
    return tunnel


@pytest.fixture(scope="module", params=["alone", "tunnel"])
def settings(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that connects by itself, and one that has an agent do it."""
    with contextlib.closing(Engine()) as laptop, contextlib.closing(Engine()) as agent:
        door = socket.create_server(("127.0.0.1", 0), backlog=512)
        tunnel = joined(laptop, agent) if request.param == "tunnel" else None
        server = SocksServer(laptop, door, tunnel=tunnel, username="user", password="pass")
        lines = (f"TorPort {server.port}", "SOCKS5Username user", "SOCKS5Password pass")
        yield "\n".join([*lines, "TelepresencePipeline 1"])


@pytest.mark.parametrize("how", [*WAYS, "copies", "child"])
def test_a_program_says_the_same_as_without(
    each_rig: Rig, settings: str, own_address: str, how: str
) -> None:
    with contextlib.closing(Service(echo, own_address)) as service:
        argv = ["talk", how, own_address, str(service.address[1])]
        without, within = each_rig.run(argv, None), each_rig.run(argv, settings)
    assert "echo 0123456789" in without.stdout
    assert (within.stdout, within.returncode) == (without.stdout, without.returncode)


@pytest.mark.parametrize("how", WAYS)
def test_a_refusal_is_the_same_as_without(
    each_rig: Rig, settings: str, own_address: str, how: str
) -> None:
    with socket.create_server((own_address, 0)) as door:
        port = door.getsockname()[1]
    argv = ["talk", how, own_address, str(port)]
    without, within = each_rig.run(argv, None), each_rig.run(argv, settings)
    assert "connect: ECONNREFUSED" in without.stdout
    assert (within.stdout, within.returncode) == (without.stdout, without.returncode)


@pytest.mark.parametrize("how", ["sendto", "connect", "messages", "copies"])
def test_datagrams_are_the_same_as_without(
    each_rig: Rig, settings: str, own_address: str, how: str
) -> None:
    with contextlib.closing(DatagramService(bytes, bound((own_address, 0)))) as service:
        argv = ["datagrams", how, own_address, str(service.address[1])]
        without, within = each_rig.run(argv, None), each_rig.run(argv, settings)
    assert "sent" in without.stdout or "recv" in without.stdout
    assert (within.stdout, within.returncode) == (without.stdout, without.returncode)


def test_a_mapped_address_stays_mapped(each_rig: Rig, settings: str, own_address: str) -> None:
    with contextlib.closing(Service(echo, own_address)) as service:
        argv = ["talk", "poll", f"::ffff:{own_address}", str(service.address[1])]
        without, within = each_rig.run(argv, None), each_rig.run(argv, settings)
    assert f"peer ::ffff:{own_address} " in without.stdout
    assert (within.stdout, within.returncode) == (without.stdout, without.returncode)
