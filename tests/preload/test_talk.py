"""One C program, every way of connecting, against servers of every temper."""

from pathlib import Path

import pytest

from fake_pod import FakePod
from shim_rig import (
    ECHO,
    ECHO6,
    FORBIDDEN,
    NO_HOST,
    NO_IPV6,
    REFUSED,
    SILENT,
    SMTP,
    UNREACHABLE,
    MakePod,
    Rig,
)

WAYS = {
    "blocking": "",
    "restart": "",
    "poll": "poll 1 writable 1\n",
    "many": "poll 1 writable 1\n",
    "select": "select 1 writable 1\n",
    "epoll": "epoll 1 writable 1 data 1122334455667788\n",
    "edge": "epoll 1 writable 1 data 1122334455667788\n",
    "early": "epoll 1 writable 1 data 1122\n",
    "again": "poll 1 writable 1\n",
    "asking": "",
}
TEMPERS = {
    "pipelined": {},
    "one-by-one": {"strict": True},
    "byte-by-byte": {"pieces": True},
    "bound-to-ipv6": {"bound": "2001:db8::1"},
    "no-password": {"username": "", "password": ""},
}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("temper", TEMPERS)
def test_every_way_of_connecting_reaches_the_target(
    each_rig: Rig, make_pod: MakePod, how: str, temper: str
) -> None:
    options = {"username": "u", "password": "p"} | TEMPERS[temper]
    done = each_rig.run(["talk", how, ECHO[0], "80"], make_pod(**options).settings())
    said = "connect: ok\npeer 198.18.0.2 80 length 16\n"
    said += "second connect: EISCONN\n" if how == "blocking" else ""
    said += "echo 012345678901234567890123456789\n"
    assert (done.stdout, done.returncode) == (WAYS[how] + said, 0)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize(
    ("target", "error"),
    [
        (REFUSED, "ECONNREFUSED"),
        (UNREACHABLE, "ENETUNREACH"),
        (FORBIDDEN, "EACCES"),
        (NO_HOST, "EHOSTUNREACH"),
        (SILENT, "ETIMEDOUT"),
        (NO_IPV6, "ENETUNREACH"),
    ],
)
def test_a_failure_has_the_errno_of_the_target(
    each_rig: Rig, pod: FakePod, how: str, target: tuple[str, int], error: str
) -> None:
    done = each_rig.run(["talk", how, target[0], "80"], pod.settings())
    expected = WAYS[how] + f"connect: {error}\npeer: ENOTCONN\n"
    assert (done.stdout, done.returncode) == (expected, 0)


@pytest.mark.parametrize("how", ["blocking", "poll", "epoll"])
def test_ipv6_goes_through_a_server_on_ipv4(each_rig: Rig, pod: FakePod, how: str) -> None:
    done = each_rig.run(["talk", how, ECHO6[0], "80"], pod.settings())
    assert "peer 2001:db8::7 80 length 28\n" in done.stdout
    assert "echo 0123456789" in done.stdout


NEAR_END = """
import socket, sys
s = socket.create_connection((sys.argv[1], 80), float(sys.argv[2]) or None)
print(s.getsockname()[:2], s.dup().getsockname()[:2])
u = socket.socket(); u.bind(('127.0.0.1', 0)); print(u.getsockname()[0])
"""


@pytest.mark.parametrize("timeout", ["0", "9"])
@pytest.mark.parametrize("strict", [False, True])
def test_the_sockets_own_address_is_the_pods(
    rig: Rig, make_pod: MakePod, timeout: str, strict: bool
) -> None:
    pods = make_pod(bound="10.0.0.1", strict=strict)
    argv = ["python3", "-c", NEAR_END, ECHO[0], timeout]
    said = "('10.0.0.1', 4321) ('10.0.0.1', 4321)\n127.0.0.1\n"
    assert rig.run(argv, pods.settings()).stdout == said
    argv[-2] = ECHO6[0]
    said = said.replace("10.0.0.1", "::ffff:10.0.0.1")
    assert rig.run(argv, pods.settings()).stdout == said


def test_without_one_it_is_the_laptops(rig: Rig, make_pod: MakePod) -> None:
    """An address that the socket's family cannot express."""
    argv = ["python3", "-c", NEAR_END, ECHO[0], "0"]
    done = rig.run(argv, make_pod(bound="2001:db8::1").settings())
    assert done.stdout.startswith("('127.0.0.1', ")


def test_copies_of_a_descriptor_know_the_peer(each_rig: Rig, pod: FakePod) -> None:
    done = each_rig.run(["talk", "copies", ECHO[0], "80"], pod.settings())
    assert done.stdout.count("peer 198.18.0.2 80 length 16\n") == 5
    assert "closed: EBADF\necho 0123456789" in done.stdout


def test_children_of_fork_know_the_peer_and_of_vfork_leave_it(each_rig: Rig, pod: FakePod) -> None:
    done = each_rig.run(["talk", "child", ECHO[0], "80"], pod.settings())
    assert done.stdout.count("peer 198.18.0.2 80 length 16\n") == 3
    assert "echo 0123456789" in done.stdout


def test_write_without_asking_first_tells_the_failure(each_rig: Rig, pod: FakePod) -> None:
    done = each_rig.run(["talk", "write", REFUSED[0], "80"], pod.settings())
    assert done.stdout == "poll 1 writable 1\nconnect: ok\nwrite: ECONNREFUSED\n"


@pytest.mark.parametrize("how", ["blocking", "poll", "epoll", "asking"])
def test_what_the_target_says_first_is_kept(rig: Rig, pod: FakePod, how: str) -> None:
    done = rig.run(["talk", how, SMTP[0], "80"], pod.settings())
    assert "echo 220 hello\n0123456789" in done.stdout


@pytest.mark.parametrize("temper", ["pipelined", "one-by-one"])
@pytest.mark.parametrize("how", ["blocking", "poll"])
def test_a_wrong_password_is_refused(rig: Rig, make_pod: MakePod, temper: str, how: str) -> None:
    pod = make_pod(username="u", password="right", **TEMPERS[temper])
    settings = pod.settings().replace("right", "wrong")
    assert "connect: EACCES\n" in rig.run(["talk", how, ECHO[0], "80"], settings).stdout
    assert pod.seen == []


@pytest.mark.parametrize(
    "settings", ["", "TorPort 0\n", "TorPort 9050\nTorport 9051\n", "TorPort 9050\nTorAddress x\n"]
)
def test_broken_settings_close_the_way_out(rig: Rig, settings: str) -> None:
    done = rig.run(["talk", "blocking", ECHO[0], "80"], settings)
    assert done.stdout == "connect: ECONNREFUSED\npeer: ENOTCONN\n"


def test_no_settings_close_the_way_out(rig: Rig, tmp_path: Path) -> None:
    env = {"TORSOCKS_CONF_FILE": str(tmp_path / "missing")}
    done = rig.run(["talk", "blocking", ECHO[0], "80"], "TorPort 9050\n", env=env)
    assert done.stdout == "connect: ECONNREFUSED\npeer: ENOTCONN\n"
    assert rig.run(["talk", "blocking", "web", "80"], "", env=env).returncode == 2


def test_loopback_is_left_alone(rig: Rig, pod: FakePod) -> None:
    host, port = pod.network[ECHO]  # type: ignore[misc]
    done = rig.run(["talk", "poll", host, str(port)], pod.settings())
    assert f"peer 127.0.0.1 {port} length 16\necho 0123456789" in done.stdout
    assert pod.seen == []
