"""The doctor's lines and its exit code."""

import pytest

from telepresence.doctor.cluster import judge_image
from telepresence.doctor.finding import EVERY, Finding
from telepresence.doctor.names import judge
from telepresence.doctor.report import exit_code


def test_a_line_says_what_it_is_and_what_to_do() -> None:
    assert Finding("vpn-tcp", "no nft", "add it").line() == "NO    vpn-tcp     no nft; add it"
    assert Finding(EVERY, "fine").line() == "ok    all         fine"
    assert Finding(EVERY, "slow", "wait", is_limit=True).line().startswith("limit all")


@pytest.mark.parametrize(("method", "finding", "code"), [
    ("vpn-tcp", Finding("vpn-tcp", "a", "b"), 1),
    ("vpn-tcp", Finding(EVERY, "a", "b"), 1),
    ("vpn-tcp", Finding("vpn-tcp", "a"), 0),
    ("vpn-tcp", Finding("vpn-tcp", "a", "b", is_limit=True), 0),
    ("vpn-tcp", Finding("container", "a", "b"), 0),
    ("container", Finding("container", "a", "b"), 1),
])  # fmt: skip
def test_the_exit_code_is_of_one_method(method: str, finding: Finding, code: int) -> None:
    assert exit_code([finding, Finding(EVERY, "fine")], method) == code


@pytest.mark.parametrize(("hosts", "over_tls", "states"), [
    ("hosts: files dns", "", ["ok"]),
    ("hosts: files", "", ["NO", "ok"]),
    ("hosts: files resolve [!UNAVAIL=return] dns", "", ["limit"]),
    ("hosts: files resolve [!UNAVAIL=return] dns", "yes", ["limit", "NO"]),
    ("hosts: files mdns4_minimal [NOTFOUND=return] dns", "", ["ok"]),
])  # fmt: skip
def test_how_names_are_looked_up(hosts: str, over_tls: str, states: list[str]) -> None:
    assert [each.line().split()[0] for each in judge(hosts, over_tls=over_tls)] == states


def test_the_image_is_looked_for_on_the_nodes() -> None:
    names = ["docker.io/library/telepresence-agent:1", "x@sha256:00"]
    nodes = [{"status": {"images": [{"names": names}]}}, {"status": {}}]
    assert "on 1 of 2 nodes" in judge_image("telepresence-agent:1", nodes).line()
    assert judge_image("telepresence-agent:2", nodes).line().startswith("limit")
    assert judge_image("telepresence-agent:1", []).line().startswith("ok")
