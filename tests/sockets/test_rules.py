"""The rules, made by real processes in a network namespace of their own: whoever dies, they go."""

import subprocess
import sys

import pytest

PRELUDE = """
import asyncio, ipaddress, os, signal, subprocess, sys
from pathlib import Path
from telepresence.errors import MethodError
from telepresence.method.vpn.firewall import Firewall, Rules

METHOD = sys.argv[1]
SAVES = "iptables-save; ip6tables-save"
LIST = "ip rule; ip -6 rule; ip route show table all; ip -6 route show table all; "
LIST += "nft list ruleset" if METHOD == "nft" else SAVES
RULES = Rules(
    included=(ipaddress.ip_network("10.96.0.0/16"), ipaddress.ip_network("fd00:96::/64")),
    excluded=(ipaddress.ip_network("10.96.9.9/32"),),
    port4=12300, port6=12301, names=((ipaddress.ip_address("198.18.0.53"), 5300),), bypass=(43,),
)
def listed():
    done = subprocess.run(["sh", "-c", LIST], capture_output=True, text=True, check=True)
    return "".join(l for l in done.stdout.splitlines(True) if not l.startswith("#"))
def processes():
    words = ["pgrep", "-f", "privileged.py " + METHOD]
    found = subprocess.run(words, capture_output=True, text=True)
    mine = {os.getpid()}
    pids = []
    for pid in map(int, found.stdout.split()):
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        if parent in mine:
            mine.add(pid)
            pids.append(pid)
    return pids
async def gone(before):
    for _ in range(500):
        if listed() == before:
            return True
        await asyncio.sleep(0.01)
    return listed()
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
if METHOD == "nat":
    # Rules of the machine's own: they stay, and with them tables that iptables never removes.
    for version, to in (("", "192.0.2.1"), ("6", "fd00:1::1")):
        for table in ("nat", "mangle"):
            words = f"ip{version}tables -t {table} -A OUTPUT -d {to} -j ACCEPT"
            subprocess.run(words.split(), check=True)
before = listed()
async def inside(test):
    async with Firewall(METHOD) as firewall:
        assert listed() == before
        await firewall.start(RULES)
        assert "5300" in listed() and "10.96.0.0/16" in listed() and "fwmark" in listed()
        assert "telepresence-" in listed() and not firewall.without, (firewall.without, listed())
        await test(firewall)
    print(await gone(before))
def run(test):
    asyncio.run(inside(test))
"""


def run(program: str, method: str) -> list[str]:
    words = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c"]
    done = subprocess.run(
        [*words, PRELUDE + program, method], capture_output=True, text=True, timeout=60, check=False
    )
    if "unshare failed" in done.stderr:
        pytest.skip(f"no user namespaces here: {done.stderr.strip()}")
    if method == "nat" and "Permission denied" in done.stderr:
        pytest.skip("iptables needs a writable /run/xtables.lock")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(params=["nft", "nat"])
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_rules_are_gone_when_the_context_ends(method: str) -> None:
    assert run("async def test(firewall): pass\nrun(test)", method) == ["True"]


@pytest.mark.parametrize("which", [0, 1])
def test_a_killed_process_takes_the_rules_along_and_is_noticed(which: int, method: str) -> None:
    """The outer process, and the inner one, which is sshuttle's."""
    assert run(f"""
async def test(firewall):
    os.kill(processes()[{which}], signal.SIGKILL)
    try:
        await asyncio.wait_for(firewall.failed, 10)
    except MethodError as error:
        print(error)
    print(await gone(before))
run(test)
""", method) == ["the process with the firewall rules is gone, and its rules with it", "True",
                 "True"]  # fmt: skip


def test_a_killed_command_takes_the_rules_along(method: str) -> None:
    assert run(
        """
pid = os.fork()
if pid == 0:
    async def test(firewall):
        os.kill(os.getpid(), signal.SIGKILL)
    run(test)
os.waitpid(pid, 0)
print(asyncio.run(gone(before)))
""",
        method,
    ) == ["True"]


def test_a_range_is_added_later(method: str) -> None:
    assert run(
        """
async def test(firewall):
    firewall.add([ipaddress.ip_network("192.0.2.7/32")])
    for _ in range(500):
        if "192.0.2.7" in listed():
            break
        await asyncio.sleep(0.01)
    lines = listed().splitlines()
    print("192.0.2.7" in "".join(lines[len(lines) // 2:]))
run(test)
""",
        method,
    ) == ["True", "True"]


def test_rules_that_cannot_be_made_are_said_and_undone(method: str) -> None:
    (line, clean) = run(
        """
RULES = Rules(included=(ipaddress.ip_network("10.96.0.0/16"),), excluded=(), port4=12300, port6=0,
              names=((ipaddress.ip_address("198.18.0.53"), 99999),), bypass=(43,))
try:
    run(None)
except MethodError as error:
    print(error)
print(asyncio.run(gone(before)))
""",
        method,
    )
    assert line.startswith(f"the firewall rules (method {method}) could not be made: ")
    assert clean == "True"
