"""Whether names that end in .local reach a name server, by nsswitch.conf and what belongs to it."""

from pathlib import Path

import pytest

from telepresence.method.vpn.nsswitch import hosts_line, swallower, take_options

MDNS, RESOLVE = "mdns4 [NOTFOUND=return]", "resolve [!UNAVAIL=return]"


@pytest.mark.parametrize(("line", "allow", "routed", "reason"), [
    ("hosts: files dns", "", [], ""),
    ("hosts: files mdns4_minimal [NOTFOUND=return] dns", "*", [], ""),
    (f"hosts: files {MDNS} dns", "", [], ""),
    (f"hosts: files {MDNS} dns", ".local.\n.local\n", [], "mdns4 in"),
    (f"hosts: files {MDNS} dns", "*", [], "mdns4 in"),
    ("hosts: files mdns4 dns", "*", [], ""),
    (f"hosts: files dns {MDNS}", "*", [], ""),
    (f"hosts: files {RESOLVE} dns", "", [], "systemd-resolved"),
    (f"hosts: files {RESOLVE}", "", ["corp.example"], "systemd-resolved"),
    (f"hosts: files {RESOLVE} dns", "", ["corp.example", "~cluster.local"], ""),
    (f"hosts: files {RESOLVE} dns", "", ["~local"], ""),
    ("", "", [], ""),
])  # fmt: skip
def test_who_keeps_local_names(line: str, allow: str, routed: list[str], reason: str) -> None:
    found = swallower(line, "cluster.local", mdns_allow=allow, routed=routed)
    assert (found.reason if found else "").startswith(reason)
    assert bool(found) is bool(reason)


def test_another_domain_of_the_cluster_is_nobodys() -> None:
    line = f"hosts: {RESOLVE} dns"
    assert swallower(line, "cluster.corp.example", routed=[]) is None


def test_domains_of_resolved() -> None:
    assert take_options(["[Resolve]\nDomains=a ~b\n#Domains=no\n", "Domains = c\n"], "Domains") == [
        "a", "~b", "c",
    ]  # fmt: skip


def test_the_hosts_line_is_found(tmp_path: Path) -> None:
    path = tmp_path / "nsswitch.conf"
    path.write_text("passwd: files\nhosts:  files dns\n")
    assert hosts_line(path) == "hosts:  files dns"
    assert hosts_line(tmp_path / "none") == ""


def test_a_mac_may_keep_local_for_multicast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    found = swallower("", "cluster.local")
    assert found is not None
    assert "/etc/resolver/cluster.local" in found.advice
    assert swallower("", "corp.example") is None
