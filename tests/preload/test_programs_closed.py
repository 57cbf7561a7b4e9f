"""What static, Go and setuid programs do with the pod's network: their rows of docs/programs.md."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from fake_pod import FakePod
from shim_rig import ECHO, WEB
from supervisor_rig import Supervisor
from without import RealNetwork

SRV = "_http._tcp.web.default.svc.cluster.local"
SRV_SAID = "web.default.svc.cluster.local"
GO, MUSL, GLIBC = "Go, static", "C with musl, static", "C with glibc, static"
BUSYBOX, SU = "busybox wget, static", "su -c"


@dataclass(frozen=True)
class Use:
    """Words that begin with @ are programs of ours."""

    program: str
    argv: tuple[str, ...]
    said: str
    columns: tuple[str, ...]


def use(program: str, argv: str, said: str, *columns: str) -> Use:
    return Use(program, tuple(argv.split()), said, columns)


WEB_SAID = f"{WEB[0]}:80\n"
USES = [
    use(GO, "@closed-go get http://web/", "pods\n", "connect", "DNS"),
    use(GO, f"@closed-go srv {SRV}", SRV_SAID, "SRV"),
    use(GO, f"@closed-go udp {ECHO[0]} 80", f"pods {ECHO[0]}:80\n", "UDP"),
    use(GO, f"@closed-go listen {ECHO[0]} 80", f"pods {ECHO[0]}:80\n", "UDP"),
    use(GO, "@closed-go fork http://web/", "pods\n", "fork"),
    use(GO, "@closed-go pass web 80", WEB_SAID, "fd passing"),
    use(BUSYBOX, "/bin/busybox wget -q -O - http://web/", "pods\n", "connect", "DNS"),
    use(
        "busybox nslookup, static", f"/bin/busybox nslookup -type=srv {SRV}", SRV_SAID, "SRV", "UDP"
    ),
]
for LIBC, NAME in ((MUSL, "musl"), (GLIBC, "glibc")):
    USES += [
        use(LIBC, f"@fetch-{NAME} web 80", "pods\n", "connect", "DNS"),
        use(LIBC, f"@closed-{NAME} srv {SRV} -", SRV_SAID, "SRV"),
        use(LIBC, f"@closed-{NAME} udp {ECHO[0]} 80", f"pods\n{ECHO[0]}:80\n", "UDP"),
        use(LIBC, f"@closed-{NAME} fork web 80", WEB_SAID, "fork"),
        use(LIBC, f"@closed-{NAME} pass web 80", WEB_SAID, "fd passing"),
    ]


def cases() -> list[object]:
    return [
        pytest.param(one, id=f"{one.program}-{'-'.join(one.columns)}",
                     marks=pytest.mark.cells(one.program, "supervisor", *one.columns))
        for one in USES
    ]  # fmt: skip


@pytest.mark.parametrize("use", cases())
def test_a_closed_program_is_in_the_pods_network(
    supervisor: Supervisor, closed: Path, pod: FakePod, use: Use
) -> None:
    argv = [str(closed / word[1:]) if word.startswith("@") else word for word in use.argv]
    done = supervisor.run(argv, pod.settings())
    assert use.said in done.out, done
    assert pod.seen


@pytest.mark.parametrize("use", USES, ids=[f"{one.program}-{one.argv[1]}" for one in USES])
def test_it_says_the_same_without_any_engine(
    real_network: RealNetwork, closed: Path, use: Use
) -> None:
    argv = [str(closed / word[1:]) if word.startswith("@") else word for word in use.argv]
    assert use.said in real_network.run(argv)


@pytest.mark.cells(SU, "supervisor", "connect", "DNS", "fork")
def test_what_su_starts_is_in_the_pods_network(
    supervisor: Supervisor, pod: FakePod, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may become another user without a password")
    words = ["/bin/su", "-s", "/bin/sh", "nobody", "-c", "busybox wget -q -O - http://web/"]
    assert supervisor.run(words, pod.settings()).out == "pods\n"
