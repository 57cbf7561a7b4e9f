"""Who listens on this machine, as the kernel's own tables say."""

import socket
import sys

import pytest

from telepresence.listening import listened_on

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="this system has no /proc/net/tcp")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"])
def test_a_listener_that_localhost_reaches_is_seen(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as door:
        door.bind((host, 0))
        port = door.getsockname()[1]
        assert port not in (listened_on() or set())
        door.listen()
        assert port in (listened_on() or set())
    assert port not in (listened_on() or set())


def test_another_address_of_this_machine_does_not_count() -> None:
    with socket.create_server(("127.0.0.2", 0)) as door:
        assert door.getsockname()[1] not in (listened_on() or set())
