"""nft takes the rules and the kernel the routes, in a namespace of the test's own."""

import subprocess
import sys

import pytest

from telepresence.gateway.rules import Doors, make_rules, take_error

PROGRAM = """
import socket, subprocess
from telepresence.gateway.rules import *
from telepresence.gateway.serve import _tell_kernel
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
lo = socket.if_nametoindex("lo")
_tell_kernel(*(made for family in (socket.AF_INET, socket.AF_INET6)
               for made in (make_loop_route(family, lo), make_mark_rule(family))),
             make_default_route(lo))
for words in ("rule", "route show table 2017", "-6 rule", "-6 route show table 2017", "-6 route"):
    print(words, subprocess.run(["ip", *words.split()], capture_output=True, text=True).stdout)
rules = make_rules(Doors(tcp4=1, udp4=2, tcp6=3, udp6=4), laptops=(80, 8000))
subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
print(subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True).stdout)
"""


def test_the_kernel_takes_them() -> None:
    words = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", PROGRAM]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if "unshare failed" in done.stderr:
        pytest.skip(f"no user namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("fwmark 0x7e1 lookup 2017") == 2
    assert 'iifname != "lo" tcp dport { 80, 8000 } reject with tcp reset' in done.stdout
    assert done.stdout.count("local default dev lo") == 2
    assert "\ndefault dev lo" in done.stdout.replace("-6 route ", "\n")


def test_without_ipv6_no_rule_speaks_of_it() -> None:
    rules = make_rules(Doors(tcp4=1, udp4=2))
    assert "nfproto ipv6" not in rules
    assert rules.count("nfproto ipv4") == 2
    assert rules.count("{") == rules.count("}")


def test_an_acknowledgement_is_an_error_of_zero() -> None:
    head = (36).to_bytes(4, sys.byteorder) + (2).to_bytes(2, sys.byteorder) + bytes(10)
    assert take_error(head + bytes(20)) == 0
    assert take_error(head + (-17).to_bytes(4, sys.byteorder, signed=True) + bytes(16)) == 17
