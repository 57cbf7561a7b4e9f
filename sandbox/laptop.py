"""Lend laptops: network namespaces with the node's address, a company and an Internet in sight.

Called by: shell, teardown.  Owns: the namespaces, their links and /etc/netns/NAME; the Internet.
Never: routes a laptop to pods or Services: only a tunnel may reach them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import places
import processes
from machine import SandboxError, attempt, run, wait_until

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
ETC = Path("/etc/netns")
MOUNTED = Path("/run/netns")
MOST = 200  # one address each in a /24


def create(name: str) -> None:
    """Create the laptop unless it is there and whole."""
    if not NAME.fullmatch(name) or name == places.INTERNET_NETNS:
        raise SandboxError(f"bad laptop name {name!r}: use a-z, 0-9 and -, at most 31 characters")
    if exists(name):
        return
    if (MOUNTED / name).exists() and not _record(name).exists():
        raise SandboxError(f"network namespace {name} is somebody else's: choose another name")
    delete(name)
    start_internet()
    number = _free_number()
    places.LAPTOPS.mkdir(exist_ok=True)
    _record(name).write_text(json.dumps({"number": number}))
    try:
        _link(name, number)
    except SandboxError:
        delete(name)
        raise


def _link(name: str, number: int) -> None:
    """Two cables: eth0 to the Internet (default route), node0 to the node's one address.

    The default route must exist: without one a connect() to 10.96.0.10 fails before any firewall
    rule sees it."""
    node_end, internet_end = _node_end(number), _internet_end(number)
    ours = f"{places.LAPTOP_RANGE}.{number}"
    run("ip", "netns", "add", name)
    run("ip", "link", "add", node_end, "type", "veth", "peer", "name", "node0", "netns", name)
    run("ip", "-n", places.INTERNET_NETNS, "link", "add", internet_end, "type", "veth",
        "peer", "name", "eth0", "netns", name)  # fmt: skip
    run("ip", "-n", places.INTERNET_NETNS, "link", "set", internet_end, "master", "lan", "up")
    # What comes from a laptop is for the node itself or for nobody: no router to pods.
    Path(f"/proc/sys/net/ipv4/conf/{node_end}/forwarding").write_text("0")
    run("ip", "link", "set", node_end, "up")
    run("ip", "route", "replace", f"{ours}/32", "dev", node_end, "src", places.NODE_ADDRESS)
    run("ip", "-batch", "-", "-n", name, stdin=f"""
link set lo up
address add {ours}/32 dev node0
link set node0 up
route add {places.NODE_ADDRESS}/32 dev node0 src {ours}
address add {places.INTERNET_RANGE}.1.{number}/16 dev eth0
link set eth0 up
route add default via {places.INTERNET_ADDRESS}
""")  # fmt: skip
    (ETC / name).mkdir(parents=True, exist_ok=True)
    (ETC / name / "resolv.conf").write_text(
        f"nameserver {places.COMPANY_DNS_ADDRESS}\nsearch corp.example\n"
    )


def exists(name: str) -> bool:
    """Also false for a half-made or half-lost one, so that create() makes it anew."""
    record = _record(name)
    if not record.exists() or not (ETC / name / "resolv.conf").exists():
        return False
    if not processes.is_alive("internet"):
        return False
    end = _node_end(json.loads(record.read_text())["number"])
    return Path(f"/sys/class/net/{end}").exists() and _is_namespace(name)


def delete(name: str) -> None:
    """Ends what runs in it as well: a namespace lives as long as its last process."""
    if not _record(name).exists():
        return
    if (MOUNTED / name).exists():
        # A mount of a namespace that is gone (after a reboot) has no processes.
        if attempt("ip", "netns", "pids", name):
            pids = [int(word) for word in run("ip", "netns", "pids", name).split()]
            processes.end(pids)
        if not attempt("ip", "netns", "delete", name):
            (MOUNTED / name).unlink(missing_ok=True)
    number = json.loads(_record(name).read_text())["number"]
    # By hand: sockets that wait for a last answer keep a namespace, and its cables, for minutes.
    attempt("ip", "link", "delete", _node_end(number))
    attempt("ip", "-n", places.INTERNET_NETNS, "link", "delete", _internet_end(number))
    shutil.rmtree(ETC / name, ignore_errors=True)
    _record(name).unlink()
    _remove_if_empty(places.LAPTOPS, ETC)


def names() -> list[str]:
    return sorted(path.stem for path in places.LAPTOPS.glob("*.json"))


def delete_all() -> None:
    for name in names():
        delete(name)


def _record(name: str) -> Path:
    return places.LAPTOPS / f"{name}.json"


def _node_end(number: int) -> str:
    return f"laptop{number}"


def _internet_end(number: int) -> str:
    return f"lap{number}"


def _is_namespace(name: str) -> bool:
    """False for the empty file that is left when its mount is gone (a reboot)."""
    try:
        return (MOUNTED / name).stat().st_dev != MOUNTED.stat().st_dev
    except FileNotFoundError:
        return False


def _free_number() -> int:
    used = {json.loads(_record(name).read_text())["number"] for name in names()}
    free = next((number for number in range(1, MOST + 1) if number not in used), None)
    if free is None:
        raise SandboxError(f"{MOST} laptops are the most: delete one")
    return free


def _remove_if_empty(*directories: Path) -> None:
    for directory in directories:
        try:
            directory.rmdir()
        except OSError:
            continue


# ---- the Internet: a namespace of its own, so that reaching it takes no part of the cluster


def start_internet() -> None:
    """A LAN with the web server and the company's resolver; the laptops plug in."""
    netns = places.INTERNET_NETNS
    if processes.is_alive("internet") and _is_namespace(netns):
        return
    delete_internet()
    run("ip", "netns", "add", netns)
    run("ip", "-batch", "-", "-n", netns, stdin=f"""
link set lo up
link add lan type bridge
address add {places.INTERNET_ADDRESS}/16 dev lan
address add {places.COMPANY_DNS_ADDRESS}/16 dev lan
address add {places.INTERNET_RANGE}.0.80/16 dev lan
link set lan up
""")  # fmt: skip
    # A router that says at once, and each time, that it knows no way to the cluster.
    run("ip", "netns", "exec", netns, "sysctl", "-qw", "net.ipv4.ip_forward=1",
        "net.ipv4.icmp_ratelimit=0")  # fmt: skip
    program = places.SOURCES / "internet.py"
    processes.start("internet", ["ip", "netns", "exec", netns, "/usr/bin/python3", "-B", program])
    probe = ("ip", "netns", "exec", netns, "/usr/bin/python3", "-B", program, "--probe")
    wait_until(
        lambda: attempt(*probe),
        "the laptops' Internet does not answer",
        timeout_s=10,
        hint=f"see {places.logs()}/internet.log",
        or_raise=lambda: processes.check_alive("internet"),
    )


def delete_internet() -> None:
    processes.stop("internet")
    path = MOUNTED / places.INTERNET_NETNS
    if path.exists() and not attempt("ip", "netns", "delete", places.INTERNET_NETNS):
        path.unlink(missing_ok=True)
    if MOUNTED.is_dir() and not any(MOUNTED.iterdir()):
        attempt("umount", MOUNTED)  # `ip netns` mounts the directory on itself
        _remove_if_empty(MOUNTED)
