"""Datagrams and questions for names of programs that no library can be preloaded into."""

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_names import NamesPod
from fake_pod import RESOLVE, FakePod
from services import Service, http
from shim_rig import ECHO, ECHO6, RUN_S, WEB
from supervisor_rig import Supervisor, run_closed
from telepresence.fastpath import Engine, SocksServer

UDP_S = 10.0
WANT_IPV4 = 4  # socks5.h: in the place of a port
SIX, OTHER = "2001:db8::9", "198.18.0.9"
NAMES: dict[str, str | list[str] | int] = {"web": WEB[0], "many": [WEB[0], SIX, OTHER]}
RECORDS = {"web.prod.svc.cluster.local": [WEB[0]], "both.svc": ["2001:db8::9", WEB[0]]}


@pytest.fixture
def names_pod() -> Iterator[NamesPod]:
    with contextlib.closing(Service(http)) as service:
        network = {WEB: service.address}
        with contextlib.closing(NamesPod(network=network, names=NAMES, records=RECORDS)) as pod:
            yield pod


@pytest.fixture(scope="module")
def echo_at() -> Iterator[tuple[str, int]]:
    """A UDP service on an address of this machine that is not loopback; "once" gets no answer."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.connect(("192.0.2.1", 9))  # sends nothing
    except OSError as error:
        pytest.skip(f"no address but loopback: {error.strerror}")
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((sock.getsockname()[0], 0))
    sock.close()

    def serve() -> None:
        while True:
            data, sender = server.recvfrom(65536)
            if data == b"stop":
                return
            if data != b"once":
                server.sendto(data, sender)

    thread = threading.Thread(target=serve)
    thread.start()
    yield server.getsockname()[:2]
    server.sendto(b"stop", server.getsockname())
    thread.join(UDP_S)
    server.close()


@pytest.fixture(scope="module")
def settings() -> Iterator[str]:
    with contextlib.closing(Engine()) as engine:
        door = socket.create_server(("127.0.0.1", 0), backlog=512)
        server = SocksServer(engine, door, username="user", password="pass")
        lines = (f"TorPort {server.port}", "SOCKS5Username user", "SOCKS5Password pass")
        yield "\n".join([*lines, "TelepresencePipeline 1"])


@pytest.mark.parametrize("how", ["connected", "sendto", "poll", "messages", "several", "in-vain"])
def test_datagrams_are_the_same_as_without(
    supervisor: Supervisor, closed: Path, settings: str, echo_at: tuple[str, int], how: str
) -> None:
    argv = [str(closed / "post"), how, echo_at[0], str(echo_at[1])]
    without, within = run_closed(argv), supervisor.run(argv, settings)
    assert f"{echo_at[0]} {echo_at[1]}" in without
    assert within.out == without


@pytest.mark.parametrize("how", ["connected", "sendto", "messages", "several"])
def test_datagrams_of_ipv6(supervisor: Supervisor, closed: Path, pod: FakePod, how: str) -> None:
    done = supervisor.run([str(closed / "post"), how, ECHO6[0], str(ECHO6[1])], pod.settings())
    assert f"from {ECHO6[0]} {ECHO6[1]} length 28\n" in done.out


def test_datagrams_to_loopback_do_not_leave(
    supervisor: Supervisor, closed: Path, names_pod: NamesPod
) -> None:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: server.sendto(*server.recvfrom(100)))
    thread.start()
    argv = [str(closed / "post"), "sendto", "127.0.0.1", str(server.getsockname()[1])]
    done = supervisor.run(argv, names_pod.settings())
    thread.join(UDP_S)
    assert done.out.startswith("5: hello\nfrom 127.0.0.1")
    assert names_pod.seen == []
    server.close()


def url(name: str) -> str:
    return f"http://{name}/"


@pytest.mark.parametrize("name", ["web.prod.svc.cluster.local", "both.svc"])
@pytest.mark.parametrize("program", ["fetch-go", "fetch-musl", "fetch-glibc"])
def test_a_name_of_the_pods_name_server_is_found(
    supervisor: Supervisor, closed: Path, names_pod: NamesPod, program: str, name: str
) -> None:
    words = [url(name)] if program == "fetch-go" else [name, "80"]
    done = supervisor.run([str(closed / program), *words], names_pod.settings())
    assert done.out.endswith("pods\n"), done
    assert (name, "A") in names_pod.asked


@pytest.mark.parametrize("program", ["fetch-go", "fetch-musl", "fetch-glibc"])
def test_a_name_of_the_pods_search_list_is_found(
    supervisor: Supervisor, closed: Path, names_pod: NamesPod, program: str
) -> None:
    """The name server knows no "web": the pod's resolver does."""
    words = [url("web")] if program == "fetch-go" else ["web", "80"]
    done = supervisor.run([str(closed / program), *words], names_pod.settings())
    assert done.out.endswith("pods\n"), done
    assert (RESOLVE, "web", WANT_IPV4) in names_pod.seen


def test_all_addresses_of_a_name_are_found(supervisor: Supervisor, names_pod: NamesPod) -> None:
    done = supervisor.run(["/bin/busybox", "nslookup", "many"], names_pod.settings())
    assert [done.out.count(f"Address: {address}\n") for address in (WEB[0], SIX, OTHER)] == [
        1,
        1,
        1,
    ]


def test_a_name_that_nobody_knows_is_not_found(
    supervisor: Supervisor, closed: Path, names_pod: NamesPod
) -> None:
    done = supervisor.run([str(closed / "fetch-go"), url("nobody")], names_pod.settings())
    assert "no such host" in done.out
    done = supervisor.run([str(closed / "fetch-musl"), "nobody", "80"], names_pod.settings())
    assert done.code == 2


def test_many_questions_at_once(supervisor: Supervisor, closed: Path, names_pod: NamesPod) -> None:
    words = [url("web.prod.svc.cluster.local")] * 100
    done = supervisor.run([str(closed / "fetch-go"), *words], names_pod.settings())
    assert done.out == "pods\n" * 100


NAMESPACES = ["unshare", "--map-root-user", "--mount"]
WITHIN = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'


@pytest.mark.parametrize(
    "text", ["nameserver 127.0.0.53\noptions edns0\nsearch corp.example\n", "nameserver ::1\n", ""]
)
def test_a_name_server_on_this_machine_is_not_asked(
    closed: Path, plain_supervisor: Path, names_pod: NamesPod, tmp_path: Path, text: str
) -> None:
    """As systemd-resolved has it; without a line, resolv.conf(5) means this machine, too."""
    if subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine gives no user namespace to this user")
    (tmp_path / "resolv.conf").write_text(text)
    (tmp_path / "conf").write_text(names_pod.settings())
    fetch = str(closed / "fetch-go")
    words = [str(plain_supervisor), str(tmp_path / "conf"), "2", fetch, fetch, url("web")]
    done = subprocess.run(
        [*NAMESPACES, "sh", "-c", WITHIN, "sh", str(tmp_path / "resolv.conf"), *words],
        capture_output=True, text=True, timeout=RUN_S, check=False,
    )  # fmt: skip
    assert done.stdout == "pods\n", done.stderr
    assert (RESOLVE, "web", WANT_IPV4) in names_pod.seen


def test_sockets_that_are_closed_leave_nothing_in_the_supervisor(
    supervisor: Supervisor, pod: FakePod
) -> None:
    """What closed UDP sockets leave is found in the kernel's table: some may stay for a while."""
    program = f"""
import os, socket
def held(): return len(os.listdir(f"/proc/{{os.getppid()}}/fd"))
before = held()
for _ in range(200):
    with socket.create_connection(("{WEB[0]}", 80)): pass
print("TCP", held() - before)
for _ in range(1000):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock: sock.connect(("{ECHO[0]}", 80))
print("UDP", held() - before)
"""
    done = supervisor.run(["/usr/bin/python3", "-c", program], pod.settings())
    tcp, udp = (int(line.split()[1]) for line in done.out.splitlines())
    assert tcp == 0
    assert udp <= 300
