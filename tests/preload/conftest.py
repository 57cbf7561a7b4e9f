"""The shim in its builds, and pods for it.

Called by: every test of this folder.  Owns: the pods, until the end of a test.  Never: a mock.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import programs_table
import real_servers
from fake_pod import NAMESERVER, FakePod
from services import (
    DatagramService,
    Service,
    Target,
    answer_names,
    dns,
    echo,
    http,
    speak_first,
)
from shim_rig import (
    DATABASE,
    ECHO,
    ECHO6,
    FORBIDDEN,
    FREE,
    GIT,
    HELD,
    NO_HOST,
    NO_IPV6,
    REDIS,
    REFUSED,
    SILENT,
    SMTP,
    UNREACHABLE,
    WEB,
    MakePod,
    Rig,
    build,
)
from supervisor_rig import Supervisor, build_closed_programs, build_supervisor
from without import DNS, RealNetwork

SEEN: dict[programs_table.Cell, bool] = {}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cells(program, engine, *columns): programs_table.py")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when != "call" or report.skipped:
        return
    for kind, cell in report.user_properties:
        if kind == "cells":
            assert isinstance(cell, tuple)
            SEEN[cell] = SEEN.get(cell, True) and report.passed


def pytest_sessionfinish() -> None:
    if SEEN:
        programs_table.update(SEEN)


@pytest.fixture(autouse=True)
def _cells(request: pytest.FixtureRequest) -> None:
    for mark in request.node.iter_markers("cells"):
        program, engine, *columns = mark.args
        for column in columns:
            assert column in programs_table.COLUMNS
            request.node.user_properties.append(("cells", (program, engine, column)))


@pytest.fixture(scope="session")
def plain_build() -> Path:
    return build("plain")


@pytest.fixture(scope="session")
def sanitized_build() -> Path:
    return build("sanitized", "-DSANITIZE=ON")


@pytest.fixture
def rig(plain_build: Path, tmp_path: Path) -> Rig:
    return Rig(plain_build, tmp_path / "preload.conf", sanitized=False)


@pytest.fixture(params=["plain", "sanitized"])
def each_rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    """For the C programs: the shim once as it is shipped and once under ASan and UBSan."""
    where: Path = request.getfixturevalue(f"{request.param}_build")
    return Rig(where, tmp_path / "preload.conf", sanitized=request.param == "sanitized")


@pytest.fixture
def make_pod() -> Iterator[MakePod]:
    """A pod with one of each: fake_pod.py's options on top."""
    with contextlib.ExitStack() as stack:

        def serve(handle: Callable[..., None]) -> tuple[str, int]:
            return stack.enter_context(contextlib.closing(Service(handle))).address

        def serve_datagrams(handle: Callable[[bytes], bytes]) -> tuple[str, int]:
            return stack.enter_context(contextlib.closing(DatagramService(handle))).address

        def make(**options: object) -> FakePod:
            echo_at = serve(echo)
            datagrams = {
                ECHO: serve_datagrams(bytes),
                HELD: serve_datagrams(lambda data: b"held " + data),
                NAMESERVER: serve_datagrams(answer_names),
            }
            datagrams[ECHO6] = datagrams[ECHO]
            network = {
                WEB: serve(http),
                ECHO: echo_at,
                ECHO6: echo_at,
                HELD: echo_at,
                FREE: echo_at,
                SMTP: serve(speak_first),
                REFUSED: 5,
                UNREACHABLE: 3,
                FORBIDDEN: 2,
                NO_HOST: 4,
                SILENT: 6,
                NO_IPV6: 3,
                NAMESERVER: serve(dns),
            }
            names = {
                "web": WEB[0],
                "echo": ECHO[0],
                "echo6": ECHO6[0],
                "many": [WEB[0], ECHO6[0], ECHO[0]],
                "redis": REDIS[0],
                "db": DATABASE[0],
                "git": GIT[0],
                "broken": 1,
                "web.default.svc.cluster.local": WEB[0],
            }
            pod = FakePod(network=network, datagrams=datagrams, names=names, **options)  # type: ignore[arg-type]
            return stack.enter_context(contextlib.closing(pod))

        yield make


@pytest.fixture(scope="session")
def closed() -> Path:
    """Programs that no shim can enter."""
    return build_closed_programs()


@pytest.fixture(scope="session")
def plain_supervisor() -> Path:
    return build_supervisor("plain")


@pytest.fixture(scope="session")
def sanitized_supervisor() -> Path:
    return build_supervisor("sanitized", "-DSANITIZE=ON")


@pytest.fixture(params=["plain", "sanitized"])
def supervisor(request: pytest.FixtureRequest, tmp_path: Path) -> Supervisor:
    path: Path = request.getfixturevalue(f"{request.param}_supervisor")
    return Supervisor(path, tmp_path / "preload.conf")


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[Target, Target]]:
    """Real ones, by their addresses in the pod; in folders where any user may get to."""
    with contextlib.ExitStack() as stack:
        yield {
            at: stack.enter_context(serve(Path(stack.enter_context(TemporaryDirectory()))))
            for at, serve in {
                REDIS: real_servers.redis,
                DATABASE: real_servers.postgres,
                GIT: real_servers.git,
            }.items()
        }


@pytest.fixture(scope="session")
def real_network(servers: dict[Target, Target]) -> Iterator[RealNetwork]:
    """The same network without any pod, for the same programs without any of ours."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a network namespace with names of its own")
    names = {"web": WEB, "echo": ECHO, "redis": REDIS, "db": DATABASE, "git": GIT}
    with contextlib.ExitStack() as stack:
        handlers = {WEB: http, ECHO: echo, (DNS, 53): dns}
        network = {
            at: stack.enter_context(contextlib.closing(Service(handle))).address
            for at, handle in handlers.items()
        }
        datagrams = {ECHO: bytes, (DNS, 53): answer_names}
        hosts = {name: host for name, (host, _) in names.items()}
        network = RealNetwork(network | servers, datagrams, hosts)
        yield stack.enter_context(contextlib.closing(network))


@pytest.fixture
def pod(make_pod: MakePod) -> FakePod:
    return make_pod(username="telepresence", password="not-a-secret")
