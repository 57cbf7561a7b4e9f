"""Which name servers programs ask."""

import ipaddress
from pathlib import Path

import pytest

from telepresence.method.vpn.nameservers import hosts_line, observe_nameservers, swallows_local


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_stub_and_the_servers_behind_it(tmp_path: Path) -> None:
    stub = write(tmp_path / "a", "# by systemd\nnameserver 127.0.0.53\noptions edns0\n")
    real = write(tmp_path / "b", "nameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver bad\n")
    assert list(map(str, observe_nameservers((stub, real)))) == [
        "127.0.0.53", "192.0.2.1", "fe80::1%eth0",
    ]  # fmt: skip


def test_servers_behind_a_stub_that_nobody_asks_are_left_alone(tmp_path: Path) -> None:
    own = write(tmp_path / "a", "nameserver 198.18.0.53\nnameserver 198.18.0.53\n")
    other = write(tmp_path / "b", "nameserver 192.0.2.1\n")
    assert observe_nameservers((own, other)) == [ipaddress.ip_address("198.18.0.53")]


def test_without_a_file_libc_asks_this_machine(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    assert observe_nameservers((missing, missing)) == [ipaddress.ip_address("127.0.0.1")]


@pytest.mark.parametrize(("line", "swallowed"), [
    ("hosts: files dns", False),
    ("hosts: files mdns4_minimal [NOTFOUND=return] dns", True),
    ("hosts: files mdns4_minimal dns", False),
    ("hosts: files dns mdns4 [NOTFOUND=return]", False),
    ("hosts: files resolve [!UNAVAIL=return] dns", False),
    ("", False),
])  # fmt: skip
def test_names_in_local_that_nss_mdns_swallows(line: str, swallowed: bool) -> None:
    assert swallows_local(line) is swallowed


def test_the_hosts_line_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "nsswitch.conf", "passwd: files\nhosts:  files dns\n")
    assert hosts_line(path) == "hosts:  files dns"
    assert hosts_line(tmp_path / "none") == ""
