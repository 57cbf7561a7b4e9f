"""A service of a compose file in the pod's place, by compose 1 and 2: Debian 12's and 13's."""

import shutil
import urllib.request
from pathlib import Path

import pytest

from engine_rig import BASE
from newer_engine import COMPOSE
from rig import Telepresence
from workloads import until

FILE = f"""
services:
  web:
    image: {BASE}
    command: ["sh", "-c", "$SCRIPT"]
    ports: ["127.0.0.1:28018:8018"]
    environment: {{OWN: "a$$b", REDIS_MASTER_SERVICE_PORT: "81"}}
    volumes: [".:/src:ro"]
    networks: [front]
    depends_on: [db]
    init: true
  db:
    image: localhost/no-such-image:1
networks:
  front: {{}}
"""


@pytest.fixture(autouse=True, params=["docker-compose", "docker compose"])
def compose(
    request: pytest.FixtureRequest, engine_left_as_it_was: None, monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    """The program, and the plugin of docker's client, which is preferred where it is."""
    if request.param == "docker-compose":
        if shutil.which("docker-compose") is None:
            pytest.skip("no docker-compose here: Debian's package of that name")
        return
    if not COMPOSE.exists():
        pytest.skip("no docker compose here: Debian 13's docker-compose, which make setup unpacks")
    folder = tmp_path_factory.mktemp("docker")
    (folder / "cli-plugins").mkdir()
    (folder / "cli-plugins" / "docker-compose").symlink_to(COMPOSE)
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))


def write(folder: Path, script: str) -> tuple[str, ...]:
    """The words that run it."""
    (folder / "compose.yaml").write_text(FILE.replace("$SCRIPT", script.replace("$", "$$")))
    return ("--compose-service", "web", "--docker-compose", "-f", str(folder / "compose.yaml"))


def test_its_network_and_variables_are_the_pods_and_its_words_its_own(
    telepresence: Telepresence, tmp_path: Path
) -> None:
    """Names, variables, volumes, standard input, exit code; the other services are left alone."""
    before = set(tmp_path.iterdir())
    script = ("curl -s http://helloworld | cut -c1-5; echo $OWN $POSTGRES_SERVICE_PORT; "
              "echo $REDIS_MASTER_SERVICE_PORT; ls /src; cat; exit 5")  # fmt: skip
    words = write(tmp_path, script)
    done = telepresence(*words, stdin="piped\n")
    assert done.code == 5, done.err
    said = done.out.splitlines()
    assert said[:3] == ["Hello", "a$b 5432", "81"], done.err
    assert "compose.yaml" in said
    assert said[-1] == "piped"
    assert any("depends_on, networks" in line for line in done.said)
    left = {path.name for path in set(tmp_path.iterdir()) - before}
    assert left == {"compose.yaml", "telepresence.log", "telepresence"}


def test_its_published_ports_and_ctrl_c(telepresence: Telepresence, tmp_path: Path) -> None:
    words = write(tmp_path, "exec python3 -m http.server 8018")
    with telepresence.running(*words) as process:

        def answers() -> bool:
            try:
                return bool(urllib.request.urlopen("http://127.0.0.1:28018", timeout=5).status)
            except OSError:
                return False

        until(answers, 30)
        process.terminate()
        process.wait(20)


def test_what_compose_does_not_understand_is_its_error(
    telepresence: Telepresence, tmp_path: Path
) -> None:
    words = ("--compose-service", "web", "--docker-compose", "-f", str(tmp_path / "none.yaml"))
    done = telepresence(*words)
    assert done.code == 2
    assert "none.yaml" in done.said[0]
    write(tmp_path, "true")
    done = telepresence("--compose-service", "api", *write(tmp_path, "true")[2:])
    assert (done.code, "has no service api" in done.said[0]) == (2, True)
