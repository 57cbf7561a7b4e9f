"""The same by an engine of today and its own client, whose words and answers may have changed."""

import os
import re
import urllib.request
from collections.abc import Iterator

import pytest

from engine_rig import BASE, RUN, docker
from newer_engine import UNPACKED, Newer, started
from rig import Telepresence
from workloads import until


@pytest.fixture(scope="module")
def newer(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newer]:
    if not UNPACKED.exists():
        pytest.skip("no newer docker here: Debian 13's, which make setup unpacks")
    if os.geteuid() != 0:
        pytest.skip("only root can start an engine of its own")
    folder = tmp_path_factory.mktemp("newer")
    base = folder / "base.tar"
    docker("save", "--output", str(base), BASE)
    with started(folder, base) as made:
        yield made


@pytest.fixture(autouse=True)
def left_as_it_was(newer: Newer) -> Iterator[None]:
    before = newer.held()
    yield
    assert newer.held() == before


def words(newer: Newer, *ours: str) -> tuple[str, ...]:
    return ("--docker", newer.program, *ours, *RUN)


def test_it_is_newer(newer: Newer) -> None:
    assert int(newer("version", "--format", "{{.Server.Version}}").split(".")[0]) >= 26


def test_names_files_ports_input_and_the_exit_code(
    telepresence: Telepresence, newer: Newer
) -> None:
    script = """
curl -s http://helloworld.default.svc.cluster.local | cut -c1-5; hostname; cat
dig +short +notcp helloworld.default.svc.cluster.local | wc -l
cat /pod/var/run/secrets/kubernetes.io/serviceaccount/namespace; echo
curl -s http://localhost:8000; echo $?; exit 7"""
    ours = ("-n", "t-newer", "--docker-mount", "/pod", "--container-to-host", "8000:1")
    theirs = ("-i", "-e", "OWN=1", BASE, "sh", "-c", script)
    done = telepresence(*words(newer, *ours), *theirs, env=newer.environ, stdin="piped\n")
    said = done.out.splitlines()
    assert said[:5] == ["Hello", "t-newer", "piped", "1", "default"], done.err
    assert int(said[5]) in (52, 55, 56)  # curl(1): no answer; reset, soon or late
    assert done.code == 7


def test_published_ports_and_a_detached_container(telepresence: Telepresence, newer: Newer) -> None:
    server = ("python3", "-m", "http.server", "8017")
    run = (*words(newer), "-d", "-p", "127.0.0.1:28027:8017", "--name", "t-newer", BASE, *server)

    def answers() -> bool:
        try:
            return bool(urllib.request.urlopen("http://127.0.0.1:28027", timeout=5).status)
        except OSError:
            return False

    with telepresence.running(*run, env=newer.environ) as process:
        assert process.stdout is not None
        assert re.fullmatch("[0-9a-f]{64}", process.stdout.readline().strip())
        until(answers, 30)
        newer("stop", "--time=1", "t-newer")
        assert process.wait(30) == 143  # SIGTERM


def test_killed_and_both_containers_are_gone(telepresence: Telepresence, newer: Newer) -> None:
    script = "trap '' TERM; echo up; sleep 600"
    run = (*words(newer), BASE, "sh", "-c", script)
    with telepresence.running(*run, env=newer.environ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.kill()
        process.wait()
        until(lambda: not newer("ps", "-aq"), 20)
        until(lambda: not telepresence.journals(), 20)
