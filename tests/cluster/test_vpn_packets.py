"""vpn-tcp on a laptop: connections that fail as the pod's do, datagrams, other firewalls."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from laptop import Laptop, lent
from rig import kubectl, objects


@pytest.fixture
def laptop(tmp_path: Path, kubeconfig: Path) -> Iterator[Laptop]:
    with lent(tmp_path) as made:
        before = made.rules()
        yield made
        assert made.rules() == before


def cluster_ip(service: str) -> str:
    return str(kubectl("get", "service", service, "-o", "jsonpath={.spec.clusterIP}"))


def test_a_connect_fails_as_it_does_in_the_pod(laptop: Laptop) -> None:
    """Also where the same port has just accepted on another address."""
    program = """
import errno, socket, time
for host, port in (("web-0.web", 1), ("redis-master", 81), ("web-0.web", 1)):
    began = time.monotonic()
    try:
        socket.create_connection((host, port), 10)
        print("connected")
    except OSError as error:
        print(errno.errorcode[error.errno], time.monotonic() - began < 0.25)
"""
    done = laptop("--run", "sh", "-c", f"python3 -c '{program}'; nc -z -w 5 web-0.web 1; echo $?; "
                  "nc -z -w 5 helloworld 80; echo $?")  # fmt: skip
    assert done.out.splitlines()[0] == "ECONNREFUSED True", done.out
    assert done.out.splitlines()[2] == "ECONNREFUSED True", done.out
    assert done.out.splitlines()[3:] == ["1", "0"]
    assert done.out.splitlines()[1].endswith("True"), done.out


UDP_SERVER = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", 7000))
while True:
    sock.sendto(*sock.recvfrom(65536))
"""
UDP_CLIENT = """
import socket, sys
for host in sys.argv[1:]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(1)
    for _ in range(10):  # a Service takes its time, and what came before is lost
        sock.sendto(b"?", (host, 7000))
        try:
            sock.recv(1)
            break
        except (ConnectionRefusedError, TimeoutError):
            pass
    sock.close()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(10)
    for size in (0, 1, 1400, 20_000):
        sock.sendto(bytes(size), (host, 7000))
        data, source = sock.recvfrom(65536)
        assert (len(data), source) == (size, (host, 7000)), (size, len(data), source)
    print(host)
"""


def test_datagrams_reach_pods_and_services(laptop: Laptop, namespace: str) -> None:
    """Unconnected, of every size; an answer comes from the address that was asked."""
    kubectl("run", "udp", "-n", namespace, "--image", "localhost/sandbox-base:1", "--port", "7000",
            "--image-pull-policy=IfNotPresent", "--", "python3", "-c", UDP_SERVER)  # fmt: skip
    kubectl("expose", "pod", "udp", "-n", namespace, "--protocol=UDP", "--port=7000")
    kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/udp", "--timeout=50s")
    (pod,) = objects("pods", "-n", namespace)
    (service,) = objects("services", "-n", namespace)
    hosts = [pod["status"]["podIP"], service["spec"]["clusterIP"]]
    assert laptop("--run", "python3", "-c", UDP_CLIENT, *hosts).out.split() == hosts


@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_iptables_do_as_well_as_nft(tmp_path: Path, kubeconfig: Path, variant: str) -> None:
    """Rules of the laptop's own keep the tables there, which iptables makes and never removes."""
    own = tmp_path / "bin"
    own.mkdir()
    for program in ("iptables", "ip6tables"):
        for end in ("", "-save", "-restore"):
            (own / f"{program}{end}").symlink_to(f"/usr/sbin/xtables-{variant}-multi")
    tables = " ".join(
        f"{own}/{program} -t {table} -A {chain} -d {to} -j ACCEPT;"
        for program, to in (("iptables", "192.0.2.1"), ("ip6tables", "fd00:1::1"))
        for table in ("nat", "mangle")
        for chain in ("OUTPUT", "PREROUTING")
    )
    script = "curl -sS http://helloworld.default | cut -c1-5; nc -z web-0.web 1; echo $?; "
    script += "dig +short +notcp @10.96.0.10 helloworld.default.svc.cluster.local"
    choice = {"TELEPRESENCE_FIREWALL": "nat", "PATH": f"{own}:{os.environ['PATH']}"}
    with lent(tmp_path) as laptop:
        laptop.run("sh", "-c", tables)
        before = laptop.rules()
        done = laptop("--run", "sh", "-c", script, env=choice)
        assert done.out.split() == ["Hello", "1", cluster_ip("helloworld")], done.err
        assert laptop.rules() == before
