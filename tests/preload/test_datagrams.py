"""UDP through the server: every call that sends or receives, as the kernel has it."""

import pytest

from fake_pod import UDP_ASSOCIATE, UDP_CONNECT, FakePod
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
    asked = {(UDP_CONNECT, *ECHO) if how == "copies" else (UDP_ASSOCIATE, "0.0.0.0", 0)}
    assert asked <= set(pod.seen)


@pytest.mark.parametrize("how", WAYS)
def test_so_it_does_with_a_server_that_knows_associations_alone(
    each_rig: Rig, make_pod: MakePod, how: str
) -> None:
    argv = ["datagrams", how, ECHO[0], str(ECHO[1])]
    alone = make_pod(no_extensions=True)
    assert (
        each_rig.run(argv, alone.settings()).stdout
        == each_rig.run(argv, make_pod().settings()).stdout
    )


def test_a_connected_socket_sends_to_others_too(each_rig: Rig, pod: FakePod) -> None:
    done = each_rig.run(["datagrams", "elsewhere", *map(str, ECHO)], pod.settings())
    assert [line.rstrip() for line in done.stdout.splitlines()] == [
        "connect 0",
        "named 5",
        "recvfrom 5 named",
        "from 198.18.0.2 80 length 16",
        "other 5",
        "send 5",
        "recv 5 first",
        "connect 0",
        "send 5",
        "recv 10 held again",
    ]
    kinds = [kind for kind, *_ in pod.seen]
    assert kinds == [UDP_CONNECT, UDP_ASSOCIATE, UDP_CONNECT]


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
