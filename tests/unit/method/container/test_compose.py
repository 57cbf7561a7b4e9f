"""A service of a compose file: what is the proxy container's, what stays, what is refused."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from telepresence.errors import UsageError
from telepresence.method.container.compose import divide, make_file, take_words
from telepresence.values import ContainerRun

WEB: dict[str, Any] = {
    "image": "web:1", "environment": {"A": "1", "B": "a$$b", "C": None, "D": None},
    "ports": ["127.0.0.1:80:80/tcp", {"target": 8443}, {"target": 1, "published": 2,
                                                        "protocol": "udp"}],
    "expose": ["81"], "networks": {"front": None}, "depends_on": ["db"], "hostname": "x",
    "restart": "always", "stop_grace_period": "1m5s", "volumes": [".:/src"],
    "sysctls": {"net.core.somaxconn": 9, "kernel.msgmax": "8"}, "labels": {"own": "1"},
}  # fmt: skip
CONFIG: dict[str, Any] = {
    "services": {"web": WEB, "db": {"image": "redis"}}, "volumes": {"data": {}},
    "networks": {"front": {}},
}  # fmt: skip


def run(*words: str, **changed: object) -> ContainerRun:
    config = {**CONFIG, "services": {"web": {**WEB, **changed}, "db": {}}}
    return divide(("docker", "compose"), words, config, "web")


def service(made: ContainerRun, pods: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    volume = more.pop("volume", None)
    file = json.loads(make_file(made, "p", "5e55", pods or {}, more, volume))
    assert list(file["services"]) == ["web"]
    assert file["volumes"] == {"data": {}}
    assert "networks" not in file
    found: dict[str, Any] = file["services"]["web"]
    return found


def test_what_is_of_the_network_is_the_proxys() -> None:
    made = run()
    assert made.proxy_words == (
        "--publish=127.0.0.1:80:80/tcp", "--publish=8443/tcp", "--publish=2:1/udp", "--expose=81",
        "--sysctl=net.core.somaxconn=9",
    )  # fmt: skip
    assert made.left_out == ("depends_on", "hostname", "networks")
    assert made.stop_timeout_s == 65
    web = service(made)
    assert web["network_mode"] == "container:p"
    gone = {"ports", "expose", "networks", "depends_on", "hostname", "restart"}
    assert not gone & set(web)
    assert web["sysctls"] == {"kernel.msgmax": "8"}
    assert (web["init"], web["volumes"]) == (True, [".:/src"])
    assert web["labels"] == {"own": "1", "telepresence": "5e55"}
    assert service(run(labels=["own=1"]))["labels"] == ["own=1", "telepresence=5e55"]
    assert service(run(init=False))["init"] is False


def test_the_services_variables_are_stronger_and_a_dollar_stays_one() -> None:
    web = service(run(), {"A": "pod", "B": "pod", "C": "pod", "D": "pod", "E": "x$y\nz"}, C="mine")
    assert web["environment"] == {"A": "1", "B": "a$$b", "C": None, "D": "pod", "E": "x$$y\nz"}
    web = service(run(environment=["A=1=2", "D"]), {"A": "pod", "D": "pod"})
    assert web["environment"] == {"A": "1=2", "D": "pod"}


def test_the_pods_files_are_one_volume_more() -> None:
    web = service(run(), volume=(Path("/r"), Path("/pod")))
    assert web["volumes"][1] == {"type": "bind", "source": "/r", "target": "/pod"}


@pytest.mark.parametrize(
    ("words", "made"),
    [
        ((), ("--project-directory=.",)),
        (("-f", "a/c.yaml", "-f=b/d.yaml"), ("--project-directory=a",)),
        (("--file=/x/c.yaml", "-p", "n"), ("-pn", "--project-directory=/x")),
        (("--project-directory", "d", "-f", "x"), ("--project-directory=d",)),
        (("--compatibility", "--profile=dev"), ("--compatibility", "--profile=dev",
                                                "--project-directory=.")),
    ],
)  # fmt: skip
def test_the_generated_file_stands_for_the_users(
    words: tuple[str, ...], made: tuple[str, ...]
) -> None:
    assert take_words(words) == words
    assert run(*words).compose == ("docker", "compose", *made)


@pytest.mark.parametrize("words", [("up",), ("-f", "x", "run", "web"), ("-f",), ("--tls",)])
def test_words_that_do_anything_but_find_the_files_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="--docker-compose: '"):
        take_words(words)


def test_a_service_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="has no service api") as caught:
        divide(("docker-compose",), (), CONFIG, "api")
    assert caught.value.hint == "it has: db, web"


def test_compose_takes_the_file_that_is_made(tmp_path: Path) -> None:
    if shutil.which("docker-compose") is None:
        pytest.skip("no docker-compose here: Debian's package of that name")
    (tmp_path / "compose.json").write_bytes(
        make_file(run(environment={}), "p", "5e55", {"X": "a$b${c}\n'\"#"}, {}, None)
    )
    words = ["docker-compose", "-f", tmp_path / "compose.json", "config"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "network_mode: container:p" in done.stdout
    assert "a$$b$${c}" in done.stdout
