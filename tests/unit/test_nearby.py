"""Which clusters are on this machine, by context, addresses and interfaces."""

import pytest

from telepresence.nearby import is_own_address, why_near

OWN = {"127.0.0.1", "192.0.2.10"}
BEHIND = {"172.18.0.2": "br-0123456789ab", "192.168.49.2": "docker0", "192.168.39.5": "virbr1",
          "198.51.100.9": "eth0"}  # fmt: skip


@pytest.mark.parametrize(("context", "servers", "nodes", "said"), [
    ("minikube", ["198.51.100.1"], [], "context is called minikube"),
    ("minishift", [], [], "minishift"),
    ("kind-one", [], [], "kind-one"),
    ("k3d-dev", [], [], "k3d-dev"),
    ("docker-desktop", [], [], "docker-desktop"),
    ("prod", ["127.0.0.1"], ["172.18.0.2"], "API server is at 127.0.0.1"),
    ("prod", ["192.0.2.10"], [], "192.0.2.10 is this machine's"),
    ("prod", ["198.51.100.1"], ["192.0.2.10"], "node's address"),
    ("prod", ["198.51.100.1"], ["172.18.0.2"], "behind br-0123456789ab"),
    ("prod", ["192.168.49.2"], [], "behind docker0"),
    ("prod", ["198.51.100.1"], ["192.168.39.5"], "behind virbr1"),
    ("prod", ["198.51.100.1"], ["198.51.100.9"], ""),
    ("kindly", ["198.51.100.1"], ["203.0.113.1"], ""),
])  # fmt: skip
def test_where_a_cluster_is(context: str, servers: list[str], nodes: list[str], said: str) -> None:
    why = why_near(context, servers, nodes, own=OWN.__contains__,
                   device=lambda address: BEHIND.get(address, ""))  # fmt: skip
    assert said in why
    assert bool(why) is bool(said)


def test_own_addresses_of_this_machine() -> None:
    assert is_own_address("127.0.0.1")
    assert not is_own_address("192.0.2.1")
    assert not is_own_address("no address")
