"""What is found out about a container engine, from programs that talk as its client would."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from telepresence import cli
from telepresence.engines import Engine, look

Put = Callable[[str, str], None]
RUN = ("--docker-run", "nginx")
COMPOSE = ("--compose-service", "web", "--docker-compose", "-f", "c.yaml")


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """A program of the PATH, of which nothing else is left but a shell's."""

    def put(name: str, script: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    return put


def found(*words: str, **environ: str) -> Engine:
    return asyncio.run(look(cli.parse([*words]), environ))


@pytest.mark.parametrize(
    ("said", "environ", "host"),
    [
        ("unix:///var/run/docker.sock", {}, ""),
        ("", {}, ""),
        ("ssh://far", {}, "ssh://far"),
        ("unix:///x", {"DOCKER_HOST": "tcp://192.0.2.1:2375"}, "tcp://192.0.2.1:2375"),
        ("ssh://far", {"DOCKER_HOST": "unix:///x"}, ""),
        ("", {"DOCKER_HOST": "tcp://127.0.0.1:2375"}, ""),
        ("", {"DOCKER_HOST": "tcp://localhost:2375"}, ""),
        ("", {"DOCKER_HOST": "tcp://[::1]:2375"}, ""),
        ("", {"DOCKER_HOST": "tcp://127.example.com"}, "tcp://127.example.com"),
    ],
)
def test_an_engine_of_another_machine_is_noticed(
    put: Put, said: str, environ: dict[str, str], host: str
) -> None:
    put("docker", f"echo {said}")
    assert found(*RUN, **environ)["engine_host"] == host


def test_podman_has_a_variable_of_its_own(put: Put) -> None:
    put("podman", "exit 1")
    words = ("--docker", "podman", *RUN)
    assert found(*words, DOCKER_HOST="tcp://far:1")["engine_host"] == ""
    assert found(*words, CONTAINER_HOST="ssh://far")["engine_host"] == "ssh://far"


def test_nothing_is_asked_where_no_container_is_wanted(put: Put) -> None:
    put("docker", "exit 1")
    assert found("--run", "x")["engine"] is None
    assert found(*RUN)["compose"] == ()


def test_an_engine_that_is_not_there(put: Put) -> None:
    put("other", "")
    assert found(*COMPOSE)["engine"] is None


def test_compose_is_the_engines_own_or_stands_beside_it(put: Put, tmp_path: Path) -> None:
    config = 'echo "services: {web: {image: $*}}"'
    put("docker", "exit 1")
    assert found(*COMPOSE)["compose"] == ()
    put("docker-compose", config)
    engine = found(*COMPOSE)
    assert engine["compose"] == (str(tmp_path / "docker-compose"),)
    assert engine["compose_config"] == {"services": {"web": {"image": "-f c.yaml config"}}}
    put("docker", f'[ "$1" != compose ] || {config}')
    engine = found(*COMPOSE)
    assert engine["compose"] == (str(tmp_path / "docker"), "compose")


def test_what_compose_says_of_a_file_that_it_cannot_read(put: Put) -> None:
    put("docker", '[ "$3" != c.yaml ] || { echo "first" >&2; echo "no such file" >&2; exit 14; }')
    engine = found(*COMPOSE)
    assert (engine["compose_config"], engine["no_compose"]) == (None, "no such file")
