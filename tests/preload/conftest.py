"""The shim in its builds, and pods for it.

Called by: every test of this folder.  Owns: the pods, until the end of a test.  Never: a mock.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import programs_table
from fake_pod import NAMESERVER, FakePod
from services import (
    DatagramService,
    Service,
    answer_names,
    dns,
    echo,
    http,
    postgres,
    redis,
    speak_first,
)
from shim_rig import (
    DATABASE,
    ECHO,
    ECHO6,
    FORBIDDEN,
    FREE,
    HELD,
    REDIS,
    REFUSED,
    SMTP,
    UNREACHABLE,
    WEB,
    MakePod,
    Rig,
    build,
)
from supervisor_rig import Supervisor, build_closed_programs, build_supervisor

SEEN: dict[programs_table.Cell, bool] = {}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cells(program, engine, *columns): see programs_table.py")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when != "call" or report.skipped:
        return
    for _, cell in filter(lambda named: named[0] == "cell", report.user_properties):
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
            request.node.user_properties.append(("cell", (program, engine, column)))


@pytest.fixture(scope="session")
def plain_build() -> Path:
    return build("plain")


@pytest.fixture(scope="session")
def sanitized_build() -> Path:
    return build("sanitized", "-DSANITIZE=ON")


@pytest.fixture(scope="session")
def undefined_build() -> Path:
    """UBSan alone, for programs that do not start under ASan."""
    flags = "-fsanitize=undefined -fno-sanitize-recover=all"
    return build("undefined", f"-DCMAKE_C_FLAGS={flags}", "-DCMAKE_BUILD_TYPE=Debug")


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
                REDIS: serve(redis),
                DATABASE: serve(postgres),
                REFUSED: 5,
                UNREACHABLE: 3,
                FORBIDDEN: 2,
                NAMESERVER: serve(dns),
            }
            names = {
                "web": WEB[0],
                "echo": ECHO[0],
                "echo6": ECHO6[0],
                "many": [WEB[0], ECHO6[0], ECHO[0]],
                "redis": REDIS[0],
                "db": DATABASE[0],
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


@pytest.fixture
def pod(make_pod: MakePod) -> FakePod:
    return make_pod(username="telepresence", password="not-a-secret")
