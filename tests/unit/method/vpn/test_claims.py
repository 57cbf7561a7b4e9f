"""Two sessions never hold the same addresses."""

import contextlib
import ipaddress
import json
import subprocess
import sys
from pathlib import Path

import pytest

from telepresence.errors import MethodError
from telepresence.method.vpn.claims import claim
from telepresence.method.vpn.ownsockets import PORT_MARKS

PODS, SERVICES, OTHER = (
    ipaddress.ip_network(text) for text in ("10.244.0.0/16", "10.96.0.0/16", "10.200.0.0/16")
)


def test_overlapping_ranges_are_refused_by_the_holders_name(tmp_path: Path) -> None:
    with claim("proxy-a", [PODS, SERVICES], tmp_path):
        second = claim("proxy-b", [ipaddress.ip_network("10.96.7.0/24")], tmp_path)
        with pytest.raises(MethodError, match=r"10\.96\.7\.0/24.*session proxy-a"):
            second.__enter__()
    with claim("proxy-b", [PODS], tmp_path):
        pass
    assert not list(tmp_path.glob("*.json"))


def test_each_session_lets_its_own_mark_and_the_older_ones_through(tmp_path: Path) -> None:
    with claim("a", [PODS], tmp_path) as first, claim("b", [OTHER], tmp_path) as second:
        assert first.bypass == (first.mark,)
        assert set(second.bypass) == {first.mark, second.mark}
        assert first.mark != second.mark
        assert all(mark & 3 == 3 for mark in second.bypass)  # RFC 2474: local use


def test_a_session_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    program = f"""
import ipaddress, os, pathlib, signal
from telepresence.method.vpn.claims import claim
from telepresence.method.vpn.ownsockets import PORT_MARKS
with claim("dead", [ipaddress.ip_network("10.244.0.0/16")], pathlib.Path({str(tmp_path)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    (left,) = tmp_path.glob("*.json")
    assert json.loads(left.read_text())["name"] == "dead"
    with claim("alive", [PODS], tmp_path):
        assert not left.exists()


def test_sessions_with_pf_have_ports_above_those_of_the_older_ones(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(claim("a", [PODS], tmp_path, with_ports=True))
        with claim("b", [SERVICES], tmp_path, with_ports=True) as second:
            third = stack.enter_context(claim("c", [OTHER], tmp_path, with_ports=True))
        assert first.mark < second.mark < third.mark
        assert {*third.bypass} == {first.mark, second.mark, third.mark}
        for number in range(len(PORT_MARKS) - 3):
            stack.enter_context(claim(f"more-{number}", [], tmp_path, with_ports=True))
        with pytest.raises(MethodError, match="too many sessions"):
            stack.enter_context(claim("last", [], tmp_path, with_ports=True))
