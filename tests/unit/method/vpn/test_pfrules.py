"""The text of pf's rules: sshuttle's own, with ours among them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import sshuttle

from telepresence.method.vpn import pfrules
from telepresence.method.vpn.pfrules import V4, Lookup, mark_of, merged, name_rules, with_holes

V6 = int(socket.AF_INET6)
NSLIST = [
    (V4, "198.18.0.53#5300#34816+32768"),
    (V4, "127.0.0.1#5301#34816"),
    (V6, "fd00::53#5302#32768"),
]
SUBNETS = [
    (V4, 16, False, "10.96.0.0", 0, 0),
    (V4, 32, True, "10.96.128.1", 0, 0),
    (V4, 17, True, "10.96.128.0", 0, 0),
    (V4, 32, False, "10.96.200.9", 0, 0),
    (V6, 112, False, "fd00:96::", 0, 0),
]  # fmt: skip
RUN = """
import os, sys
sys.platform = "darwin"
sys.path[:0] = {path!r}
from sshuttle.methods import pf
from telepresence.method.vpn import pfrules
told, held = os.pipe()
texts = []
def pfctl(args, stdin=None):
    texts.append((args, stdin))
    return b"", b"pf enabled\\nToken : 77"
pf.pfctl = pfctl
if {ours}:
    pfrules.adapt(pf, held)
    method = pfrules.with_own_rules(pf.Method, pf, lambda: None)("pf")
else:
    pf.pf.add_anchors = lambda anchor: None
    method = pf.Method("pf")
method.setup_firewall(12300, 0, {nslist!r}, {v4}, {subnets!r}, False, None, None, "1")
for args, text in texts:
    print(args)
    print((text or b"").decode(), end="")
os.close(held)
print(os.read(told, 100))
"""


def said(*, ours: bool, nslist: object, subnets: object) -> list[str]:
    path = [str(Path(module.__file__ or "").parents[n])
            for module, n in ((sshuttle, 1), (pfrules, 3))]  # fmt: skip
    text = RUN.format(path=path, ours=ours, nslist=nslist, subnets=subnets, v4=V4)
    return subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=30
    ).stdout.splitlines()


def test_sshuttles_own_code_makes_the_rules_and_ours_stand_before_each_kind() -> None:
    subnets = [SUBNETS[0]]
    plain = said(ours=False, nslist=[], subnets=subnets)
    made = said(ours=True, nslist=NSLIST[:1], subnets=subnets)
    assert plain[1:3] == [
        "rdr pass on lo0 inet proto tcp from ! 127.0.0.1 to 10.96.0.0/16 -> 127.0.0.1 port 12300",
        "pass out quick route-to lo0 inet proto tcp to 10.96.0.0/16 keep state",
    ]
    names = "from any port 32768 <> 36863 to 198.18.0.53 port 53"
    assert made == [
        "-a com.apple/telepresence-12288-4-12300 -f /dev/stdin",
        f"rdr pass on lo0 inet proto udp {names} -> 127.0.0.1 port 5300",
        f"rdr pass on lo0 inet proto tcp {names} -> 127.0.0.1 port 5300",
        plain[1],
        f"pass out quick route-to lo0 inet proto udp {names} keep state",
        f"pass out quick route-to lo0 inet proto tcp {names} keep state",
        plain[2],
        "-E",
        "b'77'",
    ]


def test_without_a_range_there_are_still_names() -> None:
    """sshuttle alone would fail."""
    made = said(ours=True, nslist=NSLIST[:1], subnets=[])
    assert made[-3:] == ["pass out quick inet proto tcp to 127.0.0.1/32", "-E", "b'77'"]
    assert len([line for line in made if "198.18.0.53" in line]) == 4


def test_holes_are_cut_out_of_what_they_lie_in_alone() -> None:
    assert [f"{address}/{width}" for _, width, _, address, _, _ in with_holes(SUBNETS)] == [
        "10.96.0.0/17", "10.96.200.9/32", "fd00:96::/112",
    ]  # fmt: skip
    assert with_holes([(V4, 8, True, "10.0.0.0", 0, 0), SUBNETS[0]]) == [SUBNETS[0]]
    assert with_holes([SUBNETS[0], (V4, 16, True, "10.96.0.0", 0, 0)]) == []


def test_a_server_on_loopback_needs_not_be_brought_there() -> None:
    (udp, tcp) = name_rules(V4, NSLIST[1:])
    assert udp == (
        "rdr pass on lo0 inet proto udp from any port 34816 <> 36863 to 127.0.0.1 port 53 "
        "-> 127.0.0.1 port 5301"
    )
    assert tcp == udp.replace("udp", "tcp")
    assert [rule.split()[-3] for rule in name_rules(V6, NSLIST) if "rdr" in rule] == ["::1"] * 2


def test_the_mark_is_the_newest_sessions() -> None:
    assert mark_of(NSLIST) == 34816
    assert mark_of([]) == 32768
    assert merged(["pass x", "rdr y"], b"rdr a\npass b\n") == b"rdr y\nrdr a\npass x\npass b\n"


class Pf:
    """What is asked of sshuttle."""

    def __init__(self) -> None:
        self.pf = self
        self.asked: list[object] = []

    def query_nat(self, *asked: object) -> tuple[str, int]:
        self.asked.append(asked)
        if asked[3] == 1:
            raise FileNotFoundError(2, "no state")
        return ("10.96.0.1" if asked[0] == V4 else "fd00:96::1"), 6379


def test_questions_are_answered_in_order_however_they_are_cut() -> None:
    ours, theirs = socket.socketpair()
    pf = Pf()
    lookup = Lookup(ours, pf)
    four, six = socket.inet_aton("192.0.2.1"), socket.inet_pton(V6, "fd00::1")
    here, here6 = socket.inet_aton("127.0.0.1"), socket.inet_pton(V6, "::1")
    asked = b"".join((
        pfrules.QUESTION.pack(4, 40_000, 12_300, four, here),
        pfrules.QUESTION.pack(4, 1, 12_300, four, here),
        pfrules.QUESTION.pack(6, 40_001, 12_301, six, here6),
    ))  # fmt: skip
    with theirs, ours:
        for place in range(0, len(asked), 7):
            theirs.sendall(asked[place : place + 7])
            assert lookup.answer()
        answers = theirs.recv(1000)
        assert [*pfrules.ANSWER.iter_unpack(answers)] == [
            (4, 6379, socket.inet_aton("10.96.0.1") + bytes(12)),
            (0, 0, bytes(16)),
            (6, 6379, socket.inet_pton(V6, "fd00:96::1")),
        ]
        theirs.close()
        assert not lookup.answer()
    assert pf.asked[0] == (V4, 6, "192.0.2.1", 40_000, "127.0.0.1", 12_300)
    assert pf.asked[2] == (V6, 6, "fd00::1", 40_001, "::1", 12_301)


# struct pfioc_natlook of xnu's bsd/net/pfvar.h (Apple's SDK leaves it out): four pf_addr of 16
# bytes, four pf_state_xport of 4 bytes, then four of one byte.
PLACES = {
    "saddr": 0, "daddr": 16, "rsaddr": 32, "rdaddr": 48, "sxport": 64, "dxport": 68,
    "rsxport": 72, "rdxport": 76, "af": 80, "proto": 81, "proto_variant": 82, "direction": 83,
}  # fmt: skip


def test_sshuttles_struct_is_the_one_of_xnu() -> None:
    program = (
        "import sys; sys.platform = 'darwin'; from sshuttle.methods.pf import pf\n"
        "look = pf.pfioc_natlook\n"
        "print({name: getattr(look, name).offset for name, _ in look._fields_}, pf.DIOCNATLOOK)"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(sshuttle.__file__ or "").parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environ
    )
    assert done.stdout.strip() == f"{PLACES} {0xC0544417}"


@pytest.mark.parametrize("skipped", [True, False])
def test_a_pf_that_leaves_loopback_out_is_unfit(skipped: bool) -> None:
    class Module:
        class pf:  # noqa: N801 # sshuttle's name
            @staticmethod
            def has_skip_loopback() -> bool:
                return skipped

        @staticmethod
        def pfctl(_: str) -> tuple[bytes, bytes]:
            return b'rdr-anchor "com.apple/*" all\nanchor "com.apple/*" all\n', b""

    assert pfrules.unfit(Module).startswith("pf leaves lo0 out" if skipped else "")
    assert bool(pfrules.unfit(Module)) == skipped
