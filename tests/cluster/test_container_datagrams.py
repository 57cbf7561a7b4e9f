"""Datagrams of a container: from it into the cluster, and from this machine into it."""

import socket

import pytest

from datagrams import ASK, ECHO, make_echo
from engine_rig import BASE, RUN
from rig import Telepresence

pytestmark = pytest.mark.usefixtures("engine_left_as_it_was")


def test_datagrams_reach_pods_and_services(telepresence: Telepresence, namespace: str) -> None:
    """Unconnected, of every size; an answer comes from the address that was asked."""
    hosts = make_echo(namespace)
    done = telepresence(*RUN, BASE, "python3", "-c", ASK, *hosts)
    assert done.out.split() == hosts, done.err


def test_a_published_port_takes_datagrams_and_its_answers_come_back(
    telepresence: Telepresence,
) -> None:
    """They are not the pod's: neither those that come in nor the answers that go out."""
    words = (*RUN, "-p", "127.0.0.1:28019:7000/udp", BASE, "python3", "-c", ECHO)
    with (
        telepresence.running(*words) as process,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        sock.settimeout(10)
        for said in (b"1", bytes(20_000)):  # docker-proxy passes no empty one on
            sock.sendto(said, ("127.0.0.1", 28019))
            assert sock.recvfrom(65536) == (said, ("127.0.0.1", 28019))
