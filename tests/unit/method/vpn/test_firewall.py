"""What is said to the process with privileges, and whom it is asked of."""

import ipaddress
from pathlib import Path

import pytest

from telepresence.errors import MethodError
from telepresence.method.vpn import firewall
from telepresence.method.vpn.firewall import Rules, choose, lines

NET, HOST = ipaddress.ip_network, ipaddress.ip_address


def test_the_lines_are_sshuttles_protocol() -> None:
    rules = Rules(
        included=(NET("10.96.0.0/16"), NET("fd00:96::/112")),
        excluded=(NET("10.99.0.1/32"),),
        port4=12300,
        port6=12301,
        names=((HOST("198.18.0.53"), 5300), (HOST("fe80::1%eth0"), 5301)),
        bypass=(43, 47),
    )
    assert lines(rules).splitlines() == [
        "ROUTES",
        "2,16,0,10.96.0.0,0,0",
        "10,112,0,fd00:96::,0,0",
        "2,32,1,10.99.0.1,0,0",
        "NSLIST",
        "2,198.18.0.53#5300#43+47",
        "10,fe80::1#5301#43+47",
        "PORTS 12301,12300,0,0",
        "GO 0 - - 0x01 0",
    ]


def program(directory: Path, *names: str) -> str:
    for name in names:
        path = directory / name
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    return str(directory)


def test_the_users_choice_counts(tmp_path: Path) -> None:
    path = program(tmp_path, "nft", "iptables")
    assert choose({"PATH": path}) == "nft"
    assert choose({"PATH": path, "TELEPRESENCE_FIREWALL": "nat"}) == "nat"
    with pytest.raises(MethodError, match="neither nft nor nat"):
        choose({"TELEPRESENCE_FIREWALL": "pf"})


def test_a_mac_has_pf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firewall.platform, "system", lambda: "Darwin")
    assert choose({}) == choose({"TELEPRESENCE_FIREWALL": "pf"}) == "pf"
    with pytest.raises(MethodError, match="macOS has pf alone"):
        choose({"TELEPRESENCE_FIREWALL": "nft"})


def test_root_needs_no_sudo_and_others_are_never_asked_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program(tmp_path, "sudo")
    monkeypatch.setattr(firewall.os, "geteuid", lambda: 0)
    assert "sudo" not in " ".join(firewall._argv("nft"))
    monkeypatch.setattr(firewall.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(firewall.os, "isatty", lambda _: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert firewall._argv("nft")[:3] == [str(tmp_path / "sudo"), "-n", "--"]
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
