"""The shim where libtorsocks.so stood, a real Tor behind it, and torsocks before our own server."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_pod import CONNECT, FakePod
from services import Service, echo, http
from shim_rig import ECHO, MakePod, Rig
from telepresence.fastpath import Engine, SocksServer
from tor_network import FAR, NAME, Network

DEADLINE_S = 20.0
MAPPED = "198.51.100.7"
GET = "import urllib.request as u; print(u.urlopen('http://{}', timeout=9).read().decode())"


@pytest.fixture(scope="module")
def tor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A Tor that never gets beyond loopback; it knows one name."""
    if shutil.which("tor") is None:
        pytest.skip("tor is not installed")
    folder = tmp_path_factory.mktemp("tor")
    torrc = folder / "torrc"
    words = ["SocksPort 127.0.0.1:auto", f"DataDirectory {folder}/data", f"MapAddress web {MAPPED}"]
    words += ["AutomapHostsOnResolve 1", "ClientUseIPv6 0", "SocksTimeout 5"]
    # Its directory servers are a closed port of this machine, and from loopback is no way out.
    words += ["OutboundBindAddress 127.0.0.1", "UseDefaultFallbackDirs 0"]
    words += ["DirAuthority none v3ident=" + "0" * 40 + " 127.0.0.1:1 " + "0" * 40]
    torrc.write_text("\n".join(words) + "\n")
    with subprocess.Popen(
        ["tor", "-f", torrc, "--defaults-torrc", folder / "none", "--Log", "notice stdout"],
        stdout=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"], "HOME": str(folder)},
    ) as running:  # fmt: skip
        assert running.stdout is not None
        seen = []
        for line in running.stdout:
            seen.append(line)
            if found := re.search(r"\(ready\) on 127\.0\.0\.1:(\d+)", line):
                break
        else:
            pytest.fail("tor did not start: " + "".join(seen))
        yield int(found[1])
        running.terminate()
        running.communicate(timeout=DEADLINE_S)


def test_a_real_tor_resolves_for_the_shim(each_rig: Rig, tor: int) -> None:
    done = each_rig.run(["ask", "web"], f"TorAddress 127.0.0.1\nTorPort {tor}\n")
    assert f"gethostbyname web family 2 length 4 {MAPPED}" in done.stdout
    assert f"{MAPPED} 443 family 2 type 1" in done.stdout


def test_a_real_tor_refuses_what_is_internal(each_rig: Rig, tor: int) -> None:
    """Its answer to a connect, whole: Tor has no way to 10.0.0.0/8, and says so at once."""
    done = each_rig.run(["talk", "blocking", "10.1.2.3", "80"], f"TorPort {tor}\n")
    assert re.match(r"connect: E(CONNABORTED|ACCES|HOSTUNREACH|CONNREFUSED)\n", done.stdout)


@pytest.fixture(scope="module")
def tor_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    if shutil.which("tor") is None:
        pytest.skip("tor is not installed")
    with Network(tmp_path_factory.mktemp("network")).run() as port:
        yield port


@pytest.mark.parametrize("host", [FAR, NAME])
def test_a_real_tor_carries_connections(rig: Rig, tor_network: int, host: str) -> None:
    """Through three relays, by address and by name; the exit finds the service on its loopback."""
    with contextlib.closing(Service(http)) as service:
        argv = ["python3", "-c", GET.format(f"{host}:{service.address[1]}")]
        assert "pods" in rig.run(argv, f"TorPort {tor_network}\n").stdout


@pytest.mark.parametrize("how", ["blocking", "poll", "epoll"])
def test_a_real_tor_serves_every_way_of_waiting(each_rig: Rig, tor_network: int, how: str) -> None:
    with contextlib.closing(Service(echo)) as service:
        argv = ["talk", how, FAR, str(service.address[1])]
        said = each_rig.run(argv, f"TorPort {tor_network}\n").stdout
    assert f"peer {FAR} {service.address[1]} length 16\n" in said
    assert "echo 0123456789" in said


def test_a_failure_is_told_as_tor_tells_it(each_rig: Rig, tor_network: int) -> None:
    """Its answer to a plain client (RFC 1928), and what the shim makes of that."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    with socket.create_connection(("127.0.0.1", tor_network), DEADLINE_S) as plain:
        plain.sendall(b"\5\1\0")
        assert plain.recv(2) == b"\5\0"
        plain.sendall(b"\5\1\0\1" + socket.inet_aton(FAR) + port.to_bytes(2, "big"))
        code = plain.recv(99)[1]
    done = each_rig.run(["talk", "blocking", FAR, str(port)], f"TorPort {tor_network}\n")
    error = {1: "ECONNABORTED", 4: "EHOSTUNREACH", 5: "ECONNREFUSED"}[code]
    assert done.stdout.startswith(f"connect: {error}\n")


def test_onion_names_are_connected_by_name(rig: Rig, make_pod: MakePod) -> None:
    with contextlib.closing(Service(http)) as service:
        name = "a" * 56 + ".onion"
        pod = make_pod(strict=True)
        pod.network[(name, 80)] = service.address
        settings = pod.settings() + "OnionAddrRange 127.42.42.0/24\n"
        done = rig.run(["python3", "-c", GET.format(name)], settings)
        script = f"import socket; print(socket.gethostbyname('{name}'))"
        told = rig.run(["python3", "-c", script], settings)
    assert "pods" in done.stdout
    assert told.stdout == "127.42.42.1\n"
    assert [seen for seen in pod.seen if seen[1] == name] == [(CONNECT, name, 80)]


@pytest.fixture
def torsocks(tmp_path: Path) -> Iterator[tuple[Path, str, int]]:
    """Settings for Debian's torsocks with our server, and where a web server is beyond it."""
    if shutil.which("torsocks") is None:
        pytest.skip("torsocks is not installed")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.1", 9))  # sends nothing
        host: str = sock.getsockname()[0]
    with (
        contextlib.closing(Engine()) as engine,
        contextlib.closing(Service(http, host)) as service,
    ):
        door = socket.create_server(("127.0.0.1", 0))
        server = SocksServer(engine, door, username="user", password="pass")
        conf = tmp_path / "torsocks.conf"
        lines = ["TorAddress 127.0.0.1", f"TorPort {server.port}"]
        conf.write_text("\n".join([*lines, "SOCKS5Username user", "SOCKS5Password pass", ""]))
        yield conf, host, service.address[1]
        server.close()


def test_debians_torsocks_works_with_our_server(torsocks: tuple[Path, str, int]) -> None:
    conf, host, port = torsocks
    name = socket.gethostname()
    look = f"import socket; print(socket.gethostbyname('{name}'))"
    for script, said in (
        (GET.format(f"{host}:{port}"), "pods\n\n"),
        (look, f"{socket.gethostbyname(name)}\n"),
    ):
        done = subprocess.run(
            ["torsocks", "python3", "-c", script],
            env=os.environ | {"TORSOCKS_CONF_FILE": str(conf)},
            capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
        assert done.stdout == said, done.stderr


def test_the_settings_of_torsocks_are_ours(rig: Rig, torsocks: tuple[Path, str, int]) -> None:
    conf, host, port = torsocks
    done = rig.run(["python3", "-c", GET.format(f"{host}:{port}")], conf.read_text())
    assert "pods" in done.stdout


def test_inbound_is_refused_when_the_settings_say_so(rig: Rig, pod: FakePod) -> None:
    script = "import socket; s = socket.create_server(('{}', 0)); print('listens')"
    refuse = pod.settings() + "AllowInbound 0\n"
    anywhere, loopback = (["python3", "-c", script.format(host)] for host in ("", "127.0.0.1"))
    assert rig.run(anywhere, pod.settings()).stdout == "listens\n"
    assert "PermissionError" in rig.run(anywhere, refuse).stdout
    assert rig.run(loopback, refuse).stdout == "listens\n"


@pytest.mark.parametrize(
    ("value", "tcp", "udp"), [("0", "EPERM", "EPERM"), ("1", "ok", "ok"), ("2", "ok", "EPERM")]
)
def test_loopback_is_what_the_settings_allow(
    rig: Rig, pod: FakePod, value: str, tcp: str, udp: str
) -> None:
    settings = pod.settings() + f"AllowOutboundLocalhost {value}\n"
    host, port = pod.network[ECHO]  # type: ignore[misc]
    assert f"connect: {tcp}\n" in rig.run(["talk", "poll", host, str(port)], settings).stdout
    host, port = pod.datagrams[ECHO]
    done = rig.run(["datagrams", "attempt", host, str(port)], settings)
    said = {"EPERM": "sendto -1 EPERM\nconnect -1 EPERM\n", "ok": "sendto 8 \nconnect 0 \n"}
    assert done.stdout == said[udp]


def test_each_process_may_have_a_name_of_its_own(rig: Rig, make_pod: MakePod) -> None:
    pod = make_pod(username="*")
    settings = f"TorPort {pod.port}\nIsolatePID 1\n"
    for _ in range(2):
        assert "echo 0123" in rig.run(["talk", "blocking", ECHO[0], "80"], settings).stdout
    assert len({name for name, _ in pod.logins}) == 2


def test_name_and_password_may_come_from_the_environment(rig: Rig, make_pod: MakePod) -> None:
    pod = make_pod(username="from", password="elsewhere")
    env = {"TORSOCKS_USERNAME": "from", "TORSOCKS_PASSWORD": "elsewhere"}
    argv = ["talk", "blocking", ECHO[0], "80"]
    assert "echo 0123" in rig.run(argv, f"TorPort {pod.port}\n", env=env).stdout
    del env["TORSOCKS_PASSWORD"]
    assert "ECONNREFUSED" in rig.run(argv, f"TorPort {pod.port}\n", env=env).stdout


def test_the_log_has_what_its_level_says_and_no_secret(
    rig: Rig, pod: FakePod, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    for level, said in {"1": 0, "4": 1, "5": 2}.items():
        env = {"TORSOCKS_LOG_LEVEL": level, "TORSOCKS_LOG_FILE_PATH": str(log)}
        log.unlink(missing_ok=True)
        for host in (ECHO[0], "198.18.1.1"):
            rig.run(["talk", "blocking", host, "80"], pod.settings(), env=env)
        text = log.read_text() if log.exists() else ""
        assert len(text.splitlines()) == said
        assert "198.18.1.1 port 80: Connection refused" in text or level == "1"
        assert pod.password not in text
    rig.run(["talk", "blocking", ECHO[0], "80"], "TorPort x\n", env=env)
    assert "line 1 is missing or wrong: nothing can be reached" in log.read_text()
