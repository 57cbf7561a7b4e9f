"""Say whether libc would ever ask a name server for a name that ends in .local.

Called by: method/vpn/probe.py, method/vpn/whole.py, doctor.
Owns: nothing.
Never: asks anybody; changes a file.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

NSSWITCH = Path("/etc/nsswitch.conf")
MDNS_ALLOW = Path("/etc/mdns.allow")
RESOLVED = ("/etc/systemd", "/run/systemd", "/usr/lib/systemd")  # resolved.conf(5)


@dataclass(frozen=True, slots=True)
class Swallower:
    """Who keeps names that end in .local to itself, and what to do about it."""

    reason: str
    advice: str


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def hosts_line(path: Path = NSSWITCH) -> str:
    """How libc looks names up: the line `hosts:` of nsswitch.conf(5), or ""."""
    lines = _read(path).splitlines()
    return next((line.strip() for line in lines if line.startswith("hosts:")), "")


def take_options(texts: Iterable[str], wanted: str) -> list[str]:
    """The words of an option of resolved.conf(5), of all lines that set it."""
    found: list[str] = []
    for text in texts:
        for line in text.splitlines():
            key, _, value = line.partition("=")
            if key.strip() == wanted:
                found += value.split()
    return found


def resolved_options(wanted: str) -> list[str]:
    paths = [Path(place) / "resolved.conf" for place in RESOLVED[:1]]
    for place in RESOLVED:
        paths += sorted(Path(place, "resolved.conf.d").glob("*.conf"))
    return take_options(map(_read, paths), wanted)


def swallower(
    hosts: str, domain: str, *, mdns_allow: str | None = None, routed: list[str] | None = None
) -> Swallower | None:
    """None: names of the cluster's domain reach a name server, as far as these files tell."""
    words = hosts.removeprefix("hosts:").split()
    if not f".{domain}".endswith(".local"):
        return None
    if sys.platform == "darwin":  # which of its releases do is for probe.py to see
        return Swallower(
            "macOS keeps them for multicast",
            f"name one of your name servers in /etc/resolver/{domain} (resolver(5))",
        )
    before = words[: words.index("dns")] if "dns" in words else words
    for word, following in zip(before, [*before[1:], ""], strict=False):
        if "return" not in following.lower():
            continue
        if word in ("mdns", "mdns4", "mdns6"):
            # nss-mdns: without the file, names of two labels alone, as with mdns4_minimal.
            allowed = (_read(MDNS_ALLOW) if mdns_allow is None else mdns_allow).split()
            if {"*", ".local", ".local."} & {*allowed}:
                return Swallower(
                    f"{word} in /etc/nsswitch.conf, with /etc/mdns.allow, asks multicast alone",
                    f"write {word}_minimal there",
                )
        elif word == "resolve":
            domains = resolved_options("Domains") if routed is None else routed
            if not any(f".{domain}".endswith("." + each.lstrip("~")) for each in domains):
                return Swallower(
                    "systemd-resolved, which libc asks (resolve in /etc/nsswitch.conf), sends "
                    "them to no name server",
                    f"Domains=~{domain} in /etc/systemd/resolved.conf, and restart it",
                )
    return None
