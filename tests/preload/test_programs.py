"""Programs as people have them, none of which was told of any proxy, under each engine."""

import os
import pwd
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fake_pod import FakePod
from real_programs import AIO, PYTHON, USES, Use
from services import Target
from shim_rig import SHIM, Rig
from supervisor_rig import Supervisor
from without import RealNetwork

Run = Callable[[list[str], str], str]


# "without": without any engine, in a network that is the pod's.
ENGINES = {"without": None, "shim": "shim", "sanitized": "shim", "supervisor": "supervisor"}


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """What a program says under an engine; the shim also as ASan and UBSan watch it."""
    conf = tmp_path / "preload.conf"
    if request.param == "without":
        network: RealNetwork = request.getfixturevalue("real_network")
        return lambda argv, _: network.run(argv)
    if request.param == "supervisor":
        supervisor = Supervisor(request.getfixturevalue("plain_supervisor"), conf)
        return lambda argv, settings: (
            supervisor.run([shutil.which(argv[0]) or argv[0], *argv[1:]], settings).out
        )
    if request.param == "shim":
        rig = Rig(request.getfixturevalue("plain_build"), conf, sanitized=False)
        return lambda argv, settings: rig.run(argv, settings).stdout
    # What the programs themselves lose or do is not looked for: only what is done in the shim.
    quiet = {"ASAN_OPTIONS": "detect_leaks=0:handle_segv=0:exitcode=77"}
    rig = Rig(request.getfixturevalue("sanitized_build"), conf, sanitized=True)
    return lambda argv, settings: rig.run(without_extensions(argv), settings, env=quiet).stdout


def without_extensions(argv: list[str]) -> list[str]:
    """php loads its own with RTLD_DEEPBIND, which ASan refuses; what is asked here is built in."""
    return [argv[0], "-n", *argv[1:]] if argv[0] == "php" else argv


def uses() -> list[object]:
    return [
        pytest.param(
            use,
            build,
            id=f"{name}-{build}",
            marks=[pytest.mark.cells(use.program, engine, *use.columns)] if engine else [],
        )
        for name, use in USES.items()
        for build, engine in ENGINES.items()
    ]


@pytest.mark.parametrize(("use", "run"), uses(), indirect=["run"])
def test_program_is_in_the_pods_network(
    request: pytest.FixtureRequest, run: Run, pod: FakePod, servers: dict[Target, Target], use: Use
) -> None:
    pod.network |= servers
    assert use.said in run(use.argv, pod.settings())
    assert bool(pod.seen) == ("without" not in request.node.callspec.id)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["curl", "-sS", "http://198.18.1.1"], "Couldn't connect to server"),
        (["curl", "-sS", "http://no-such-name"], "Could not resolve host: no-such-name"),
        (["bash", "-c", "exec 3<>/dev/tcp/198.18.1.1/80"], "Connection refused"),
        (["bash", "-c", "exec 3<>/dev/tcp/198.18.1.2/80"], "Network is unreachable"),
        (["python3", "-c", PYTHON.replace("web", "198.18.1.1")], "Connection refused"),
        (["python3", "-c", AIO.replace("'web'", "'198.18.1.2'") + "asyncio.run(main())"], "101"),
    ],
)
def test_programs_report_the_pods_failure(
    rig: Rig, pod: FakePod, argv: list[str], said: str
) -> None:
    done = rig.run(argv, pod.settings())
    assert said in done.stdout
    assert done.returncode != 0


@pytest.mark.parametrize("name", ["python-pass", "python-inherit"])
def test_a_peers_name_gets_to_another_process_of_an_ordinary_user(
    rig: Rig, pod: FakePod, tmp_path: Path, name: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("these tests run as an ordinary user already")
    (tmp_path / "preload").mkdir()
    shutil.copy(rig.build / SHIM, tmp_path / "preload")
    nobody = pwd.getpwnam("nobody")
    own = Rig(tmp_path, tmp_path / "preload.conf", sanitized=False)
    own.environ(pod.settings())  # makes the files that they may open
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    for path in tmp_path.glob("preload.conf*"):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    argv = ["/usr/bin/python3", *USES[name].argv[1:]]
    done = own.run(argv, pod.settings(), user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])
    assert USES[name].said in done.stdout
