"""Names: those of the pod, and those that stay libc's."""

import pytest

from fake_pod import RESOLVE, WANT_IPV4, FakePod
from shim_rig import ECHO, ECHO6, REDIS, WEB, MakePod, Rig

ASK = """
import socket, sys
def say(what, call):
    try:
        print(what, call())
    except socket.gaierror as error:
        print(what, 'EAI', CODES[error.errno])
    except socket.herror as error:
        print(what, 'h_errno', error.errno)
S = socket
CODES = {getattr(socket, n): n for n in dir(socket) if n[:4] == 'EAI_'}
"""


def ask(rig: Rig, pod: FakePod, *lines: str) -> list[str]:
    script = ASK + "\n".join(f"say({number}, lambda: {line})" for number, line in enumerate(lines))
    done = rig.run(["python3", "-c", script], pod.settings())
    assert done.returncode == 0, done.stdout
    return [line.partition(" ")[2] for line in done.stdout.splitlines()]


def test_the_pod_resolves(rig: Rig, pod: FakePod) -> None:
    said = ask(
        rig,
        pod,
        "S.gethostbyname('web')",
        "S.gethostbyname_ex('web.default.svc.cluster.local')",
        "[a[4] for a in S.getaddrinfo('web', 80, type=S.SOCK_STREAM)]",
        "[a[4][0] for a in S.getaddrinfo('echo6', 80, type=S.SOCK_STREAM)]",
        "[a[4][0] for a in S.getaddrinfo('web', 1, S.AF_INET6, S.SOCK_STREAM, 0, S.AI_V4MAPPED)]",
        "S.getaddrinfo('web', None, 0, S.SOCK_STREAM, 0, S.AI_CANONNAME)[0][3]",
        "S.getaddrinfo('web', 'https', type=S.SOCK_STREAM)[0][4][1]",
    )
    assert said == [
        WEB[0],
        f"('web.default.svc.cluster.local', [], ['{WEB[0]}'])",
        f"[('{WEB[0]}', 80)]",
        "['2001:db8::7']",
        f"['::ffff:{WEB[0]}']",
        "web",
        "443",
    ]
    assert (RESOLVE, "web.default.svc.cluster.local", WANT_IPV4) in pod.seen


def test_failures_have_libcs_codes(rig: Rig, pod: FakePod) -> None:
    said = ask(
        rig,
        pod,
        "S.getaddrinfo('no-such-name', 80)",
        "S.getaddrinfo('broken', 80)",
        "S.getaddrinfo('web', 80, S.AF_INET6)",
        "S.getaddrinfo('echo6', 80, S.AF_INET)",
        "S.getaddrinfo('web', 'no-such-service', type=S.SOCK_STREAM)",
        "S.getaddrinfo('web', 80, 0, 0, 0, S.AI_NUMERICHOST)",
        "S.getaddrinfo(b'x' * 256, 80)",
        "S.gethostbyname_ex('no-such-name')",
    )
    names = ["NONAME", "AGAIN", "NODATA", "NODATA", "SERVICE", "NONAME", "NONAME", "NONAME"]
    assert said == [f"EAI EAI_{name}" for name in names]
    asked = {host for _, host, _ in pod.seen}
    assert asked == {"no-such-name", "broken", "web", "echo6"}


# Names and numbers for which libc needs no network: its answers must come through untouched.
HOME = ["localhost", "LOCALHOST.", "127.0.0.1", "192.0.2.7", "::1", "2001:db8::1", "127.1"]
HOME += ["0x7f000001", "192.0.2.300x.localhost"]


@pytest.mark.parametrize("name", HOME)
def test_home_is_as_without_the_shim(rig: Rig, pod: FakePod, name: str) -> None:
    with_shim = rig.run(["ask", name], pod.settings())
    assert with_shim.stdout == rig.run(["ask", name], None).stdout
    assert with_shim.returncode == 0
    assert pod.seen == []


@pytest.mark.parametrize("name", ["web", "echo6", "no-such-name", "broken"])
def test_every_way_of_asking_is_sound(each_rig: Rig, pod: FakePod, name: str) -> None:
    done = each_rig.run(["ask", name], pod.settings())
    assert done.returncode == 0, done.stdout
    expected = {
        "web": ["gethostbyname web family 2 length 4 198.18.0.1", "gethostbyname2 error 4"],
        "echo6": ["gethostbyname2 echo6 family 10 length 16 2001:db8::7", "gethostbyname error 4"],
        "no-such-name": ["gethostbyname error 1", "gethostbyname_r error 1"],
        "broken": ["gethostbyname error 2", "gethostbyname2_r error 2"],
    }
    for line in expected[name]:
        assert line in done.stdout


def test_all_addresses_of_a_name_are_told(rig: Rig, pod: FakePod) -> None:
    both, six = [WEB[0], ECHO6[0], ECHO[0]], [ECHO6[0]]
    stream = "S.SOCK_STREAM, 0"
    mapped = ["::ffff:" + host if "." in host else host for host in both]
    said = ask(
        rig,
        pod,
        "[a[4][0] for a in S.getaddrinfo('many', 80, type=S.SOCK_STREAM)]",
        f"[a[4][0] for a in S.getaddrinfo('many', 80, S.AF_INET, {stream})]",
        f"[a[4][0] for a in S.getaddrinfo('many', 80, S.AF_INET6, {stream})]",
        f"[a[4][0] for a in S.getaddrinfo('many', 80, S.AF_INET6, {stream}, S.AI_V4MAPPED)]",
        f"[a[4][0] for a in S.getaddrinfo('many', 1, 10, {stream}, S.AI_V4MAPPED | S.AI_ALL)]",
        f"[a[3] for a in S.getaddrinfo('many', 80, 0, {stream}, S.AI_CANONNAME)]",
        "S.gethostbyname_ex('many')[2]",
    )
    four = [WEB[0], ECHO[0]]
    assert said == list(map(str, [both, four, six, six, mapped, ["many", "", ""], four]))


def test_a_server_of_other_make_tells_one(rig: Rig, make_pod: MakePod) -> None:
    said = ask(rig, make_pod(strict=True), "[a[4][0] for a in S.getaddrinfo('many', 1, type=1)]")
    assert said == [f"['{WEB[0]}']"]


def test_addresses_have_the_names_of_the_pod(rig: Rig, pod: FakePod) -> None:
    said = ask(
        rig,
        pod,
        f"S.getnameinfo(({ECHO[0]!r}, 443), 0)",
        f"S.getnameinfo(({ECHO[0]!r}, 443), S.NI_NUMERICSERV)",
        f"S.getnameinfo(({ECHO6[0]!r}, 80), S.NI_NUMERICHOST)",
        f"S.getnameinfo(({ECHO6[0]!r}, 80, 0, 0), 0)",
        "S.getnameinfo(('198.18.9.9', 80), 0)",
        "S.getnameinfo(('198.18.9.9', 80), S.NI_NAMEREQD)",
        f"S.gethostbyaddr({ECHO[0]!r})",
        f"S.gethostbyaddr({ECHO6[0]!r})",
        "S.gethostbyaddr('198.18.9.9')",
        f"S.getfqdn({REDIS[0]!r})",
    )
    assert said == [
        "('echo', 'https')",
        "('echo', '443')",
        f"('{ECHO6[0]}', 'http')",
        "('echo6', 'http')",
        "('198.18.9.9', 'http')",
        "EAI EAI_NONAME",
        f"('echo', [], ['{ECHO[0]}'])",
        f"('echo6', [], ['{ECHO6[0]}'])",
        "h_errno 1",
        "redis",
    ]


def test_addresses_of_home_keep_the_names_of_home(rig: Rig, pod: FakePod) -> None:
    lines = "S.getnameinfo(('127.0.0.1', 80), 0)", "S.gethostbyaddr('::1')"
    within = ask(rig, pod, *lines)
    script = ASK + "\n".join(f"say(0, lambda: {line})" for line in lines)
    without = rig.run(["python3", "-c", script], None).stdout
    assert within == [line.partition(" ")[2] for line in without.splitlines()]
    assert pod.seen == []
