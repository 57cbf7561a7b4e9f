"""Which name servers programs ask."""

import ipaddress
from pathlib import Path

from telepresence.method.vpn.nameservers import observe_nameservers


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
