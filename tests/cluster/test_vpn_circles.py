"""A cluster whose DNS asks this very machine's resolvers; and names that move."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from laptop import lent
from rig import Telepresence, objects
from upstream import ADDRESS, Upstream

LOOKUPS = 200


@pytest.fixture
def upstream(kubeconfig: Path) -> Iterator[Upstream]:
    if os.geteuid() != 0:
        pytest.skip("only root may have a name server, and tell the sandbox of it")
    if not Path("/run/telepresence-sandbox/kubeconfigs").exists():
        pytest.skip("the cluster is not the sandbox, whose DNS can be told whom to ask")
    with Upstream() as made:
        yield made


ASK = """
import socket, sys
found = 0
for number in range(int(sys.argv[1])):
    kind = (f"n{number}.nowhere.example", f"nowhere{number}.default", f"n{number}.a.b.c.example",
            f"n{number}.no-such-namespace.svc")[number % 4]
    try:
        socket.getaddrinfo(kind, None, family=socket.AF_INET)
        found += 1
    except socket.gaierror:
        pass
print("found", found)
for name in "redis-master.default", "db.moves.example":
    print(socket.gethostbyname(name))
"""


def test_on_the_node_itself_no_question_goes_in_a_circle(
    telepresence: Telepresence, upstream: Upstream, tmp_path: Path
) -> None:
    """The command on the node: what the cluster's DNS forwards comes to our rules once more."""
    upstream.records["db.moves.example"] = "203.0.113.7", 5
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text(f"nameserver {ADDRESS}\n")
    ask = tmp_path / "ask.py"
    ask.write_text(ASK)
    own = telepresence.argv("-m", "vpn-tcp", "--also-proxy", "db.moves.example", "-n",
                            f"t-names-node-{os.getpid()}", "--run", "python3", str(ask),
                            str(LOOKUPS))  # fmt: skip
    telepresence.argv = lambda *_: [  # type: ignore[method-assign] # with a resolv.conf of its own
        "unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf; exec "$@"',
        str(resolv_conf), *own,
    ]  # fmt: skip
    done = telepresence()
    assert done.code == 0, done.err
    redis = [s for s in objects("services") if s["metadata"]["name"] == "redis-master"]
    assert done.out.split() == ["found", "0", redis[0]["spec"]["clusterIP"], "203.0.113.7"]
    assert "the cluster is on this machine" in telepresence.log.read_text()
    mine = {name: times for name, times in upstream.asked.items() if "nowhere" in name
            or name.endswith(("example A", "svc A"))}  # fmt: skip
    assert len([name for name in mine if ".example" in name]) >= LOOKUPS // 2
    several = {name: times for name, times in mine.items() if times > 2}
    # Of --also-proxy's name the session itself asks several times, as its TTL ends.
    assert set(several) <= {"db.moves.example A"}, several


def test_a_name_that_moves_is_followed_when_its_ttl_ends(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.records["db.moves.example"] = "203.0.113.7", 5
    with (
        lent(tmp_path, "-moves") as laptop,
        laptop.running("--also-proxy", "db.moves.example", "--run", "sleep", "60"),
    ):
        laptop.wait_log("started")
        assert "203.0.113.7" in laptop.rules()
        assert "203.0.113.8" not in laptop.rules()
        assert laptop.run("getent", "hosts", "db.moves.example").split()[0] == "203.0.113.7"
        upstream.records["db.moves.example"] = "203.0.113.8", 5
        deadline = time.monotonic() + 15
        while "203.0.113.8" not in laptop.rules():
            assert time.monotonic() < deadline
            time.sleep(0.2)
        # What programs were told last is kept for its own 5 s.
        while laptop.run("getent", "hosts", "db.moves.example").split()[0] != "203.0.113.8":
            assert time.monotonic() < deadline
            time.sleep(0.2)
