"""Names: those of the pod, and those that stay libc's."""

import pytest

from fake_pod import RESOLVE, WANT_IPV4, FakePod
from shim_rig import WEB, Rig

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
