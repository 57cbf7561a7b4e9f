"""UDP through the server: every call that sends or receives, as the kernel has it."""

import pytest

from fake_pod import UDP_ASSOCIATE, FakePod
from shim_rig import ECHO, ECHO6, MakePod, Rig

WAYS = ["sendto", "connect", "messages", "copies", "both"]


@pytest.mark.parametrize("how", WAYS)
def test_a_program_says_the_same_as_without(each_rig: Rig, pod: FakePod, how: str) -> None:
    """The same program once in the pod and once, without the shim, beside the far end."""
    host, port = pod.datagrams[ECHO]
    without = each_rig.run(["datagrams", how, host, str(port)], None)
    within = each_rig.run(["datagrams", how, ECHO[0], str(ECHO[1])], pod.settings())
    expected = without.stdout.replace(f"{host} {port} ", f"{ECHO[0]} {ECHO[1]} ")
    assert (within.stdout, within.returncode) == (expected, 0)
    assert (UDP_ASSOCIATE, "0.0.0.0", 0) in pod.seen


@pytest.mark.parametrize("how", ["sendto", "connect", "messages", "copies"])
@pytest.mark.parametrize("host", [ECHO6[0], f"::ffff:{ECHO[0]}"])
def test_ipv6_sockets_reach_both_families(each_rig: Rig, pod: FakePod, how: str, host: str) -> None:
    done = each_rig.run(["datagrams", how, host, "80"], pod.settings())
    plain = each_rig.run(["datagrams", how, ECHO[0], "80"], pod.settings())
    expected = plain.stdout.replace(f"{ECHO[0]} 80 length 16", f"{host} 80 length 28")
    assert (done.stdout, done.returncode) == (expected, 0)


@pytest.mark.parametrize("how", WAYS)
def test_loopback_is_left_alone(rig: Rig, pod: FakePod, how: str) -> None:
    host, port = pod.datagrams[ECHO]
    argv = ["datagrams", how, host, str(port)]
    assert rig.run(argv, pod.settings()).stdout == rig.run(argv, None).stdout
    assert pod.seen == []


NO_WAY = "sendto -1 ENETUNREACH\nconnect -1 ENETUNREACH\n"


def test_a_server_without_udp_is_no_route(each_rig: Rig, make_pod: MakePod) -> None:
    pod = make_pod(no_udp=True)
    assert each_rig.run(["datagrams", "attempt", *map(str, ECHO)], pod.settings()).stdout == NO_WAY


def test_without_settings_nothing_leaves(each_rig: Rig) -> None:
    assert each_rig.run(["datagrams", "attempt", *map(str, ECHO)], "").stdout == NO_WAY
