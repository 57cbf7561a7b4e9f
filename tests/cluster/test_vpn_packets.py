"""vpn-tcp on a laptop: connections that fail as the pod's do, datagrams, other firewalls."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from datagrams import ASK, make_echo
from laptop import Laptop, lent
from rig import Telepresence, kubectl


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


FAR = """
import errno, socket, sys
for host in sys.argv[1:]:
    try:
        socket.create_connection((host, 80), 30)
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


def test_what_the_pod_cannot_reach_cannot_be_reached_here_for_the_same_reason(
    laptop: Laptop,
) -> None:
    """An address that no pod has; and IPv6, of which the laptop has a network and the pod none."""
    link = "fd00:1::1/64 dev eth0"
    laptop.run("sh", "-c", f"ip address add {link} nodad; ip -6 route add default via fd00:1::2")
    done = laptop("--also-proxy", "2001:db8::/64", "--run", "python3", "-c", FAR, "10.244.0.253",
                  "2001:db8::1")  # fmt: skip
    laptop.run("sh", "-c", f"ip -6 route del default via fd00:1::2; ip address del {link}")
    assert done.out.split() == ["EHOSTUNREACH", "ENETUNREACH"], done.err


def test_datagrams_reach_pods_and_services(laptop: Laptop, namespace: str) -> None:
    """Unconnected, of every size; an answer comes from the address that was asked."""
    hosts = make_echo(namespace)
    assert laptop("--run", "python3", "-c", ASK, *hosts).out.split() == hosts


def iptables(directory: Path, variant: str) -> Path:
    """A directory with the programs of that variant."""
    own = directory / "bin"
    own.mkdir()
    for program in ("iptables", "ip6tables"):
        for end in ("", "-save", "-restore"):
            (own / f"{program}{end}").symlink_to(f"/usr/sbin/xtables-{variant}-multi")
    return own


@contextlib.contextmanager
def with_tables(directory: Path, own: Path) -> Iterator[Laptop]:
    """Rules of the laptop's own keep the tables there, which iptables makes and never removes."""
    tables = " ".join(
        f"{own}/{program} -t {table} -A {chain} -d {to} -j ACCEPT;"
        for program, to in (("iptables", "192.0.2.1"), ("ip6tables", "fd00:1::1"))
        for table in ("nat", "mangle")
        for chain in ("OUTPUT", "PREROUTING")
    )
    with lent(directory) as laptop:
        laptop.run("sh", "-c", tables)
        before = laptop.rules()
        yield laptop
        assert laptop.rules() == before


@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_iptables_do_as_well_as_nft(tmp_path: Path, kubeconfig: Path, variant: str) -> None:
    own = iptables(tmp_path, variant)
    script = "curl -sS http://helloworld.default | cut -c1-5; nc -z web-0.web 1; echo $?; "
    script += "dig +short +notcp @10.96.0.10 helloworld.default.svc.cluster.local"
    choice = {"TELEPRESENCE_FIREWALL": "nat", "PATH": f"{own}:{os.environ['PATH']}"}
    with with_tables(tmp_path, own) as laptop:
        done = laptop("--run", "sh", "-c", script, env=choice)
        assert done.out.split() == ["Hello", "1", cluster_ip("helloworld")], done.err


# Of a connection that the pod refuses, and of a datagram to the cluster.
WITHOUT = """
curl -sS http://helloworld.default | cut -c1-5
curl -s -m 5 http://web-0.web:1; case $? in 7) echo refused;; 52|56) echo reset;; esac
dig +short +notcp +time=1 +tries=1 @10.96.0.10 helloworld.default.svc.cluster.local | grep -v '^;'
"""


@pytest.mark.parametrize("lacks", ["TPROXY", "NFLOG"])
def test_without_an_extension_of_iptables_the_rest_works(
    tmp_path: Path, kubeconfig: Path, lacks: str
) -> None:
    """As on small systems, where each is a package of its own."""
    own, extensions = iptables(tmp_path, "legacy"), tmp_path / "xtables"
    extensions.mkdir()
    for path in Path("/usr/lib").glob("*/xtables/*.so"):
        if path.name != f"libxt_{lacks}.so":
            (extensions / path.name).symlink_to(path)
    choice = {"TELEPRESENCE_FIREWALL": "nat", "XTABLES_LIBDIR": str(extensions),
              "PATH": f"{own}:{os.environ['PATH']}"}  # fmt: skip
    with with_tables(tmp_path, own) as laptop:
        done = laptop("--run", "sh", "-c", WITHOUT, env=choice)
    if lacks == "TPROXY":
        assert done.out.split() == ["Hello", "refused"], done.err
        assert "this machine lacks what it takes for UDP (IPv4)" in done.err
    else:
        assert done.out.split() == ["Hello", "reset", cluster_ip("helloworld")], done.err
        assert "this machine lacks what it takes for a connect that is refused (IPv4)" in done.err


def test_without_raw_sockets_the_rest_works(laptop: Laptop) -> None:
    """As root of a container that lacks CAP_NET_RAW."""
    own = Telepresence.argv(laptop, "--method", "vpn-tcp", "--run", "sh", "-c", WITHOUT)
    words = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", "--", *own]
    laptop.argv = lambda *_: laptop.on(*words)  # type: ignore[method-assign] # with less
    done = laptop()
    assert done.out.split() == ["Hello", "reset"], done.err
    assert "this machine lacks what it takes for UDP (IPv4)" in done.err
    assert "this machine lacks what it takes for a connect that is refused (IPv4)" in done.err


MANY = """
import socket, struct, sys
RESOLVER = "198.18.0.53"
def ask(name, first, count):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(10)
    sock.connect((RESOLVER, 53))
    sent = answered = 0
    while answered < count:
        while sent < count and sent - answered < 32:
            labels = name.format(first + sent).encode().split(b".")
            wire = b"".join(bytes([len(label)]) + label for label in labels)
            sock.send(struct.pack("!6H", sent % 65536, 256, 1, 0, 0, 0) + wire + b"\\0\\0\\1\\0\\1")
            sent += 1
        sock.recv(2048)
        answered += 1
new, kept = "n{}.default.svc.cluster.local", "redis-master.default.svc.cluster.local"
ask(new, 0, 9_000)
ask(kept, 0, 5_000)
print("warm", flush=True)
sys.stdin.readline()
ask(new, 9_000, 3_000)
ask(kept, 0, 20_000)
print("done", flush=True)
sys.stdin.readline()
"""


def test_questions_leave_nothing_in_memory(laptop: Laptop) -> None:
    """More names than are kept; a million of them is bench/vpn.py's."""

    def resident_kib() -> int:
        pid = next(pid for pid, words in laptop.processes()
                   if "bin/telepresence" in words and "sandbox" not in words)  # fmt: skip
        return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])

    with laptop.running("--run", "python3", "-c", MANY) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "warm\n"
        before = resident_kib()
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        assert resident_kib() - before < 1024
