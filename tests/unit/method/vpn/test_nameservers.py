"""Which name servers programs ask."""

import ipaddress
from pathlib import Path

from telepresence.method.vpn.nameservers import observe_nameservers, take_scutil


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


SCUTIL = """\
DNS configuration

resolver NO1
  search domain[0] : fritz.box
  nameserver[0] : 192.168.178.1
  nameserver[1] : fd00::7eff:4dff:fe0e:1
  if_index : 6 (en0)
  flags    : Request A records, Request AAAA records
  reach    : 0x00020002 (Reachable,Directly Reachable Address)

resolver NO2
  domain   : local
  options  : mdns
  timeout  : 5
  flags    : Request A records
  order    : 300000

resolver NO3
  domain   : corp.example
  nameserver[0] : 10.8.0.1
  flags    : Supplemental, Request A records
  order    : 103400

resolver NO4
  domain   : test
  nameserver[0] : 127.0.0.1
  port     : 5355

DNS configuration (for scoped queries)

resolver NO1
  search domain[0] : fritz.box
  nameserver[0] : 192.168.178.1
  nameserver[1] : fe80::7eff:4dff:fe0e:1%en0
  if_index : 6 (en0)
  flags    : Scoped, Request A records
""".replace("resolver NO", "resolver #")


def test_a_mac_asks_several_servers() -> None:
    assert list(map(str, take_scutil(SCUTIL))) == [
        "192.168.178.1", "fd00::7eff:4dff:fe0e:1", "10.8.0.1", "192.168.178.1",
        "fe80::7eff:4dff:fe0e:1%en0",
    ]  # fmt: skip
    assert take_scutil("No DNS configuration available\n") == []
