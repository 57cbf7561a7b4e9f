"""What is decided about containers before anything is changed."""

import dataclasses
from pathlib import Path

import pytest

from telepresence import cli
from telepresence.errors import TelepresenceError
from telepresence.plan import make_plan
from telepresence.values import Facts, Mounting, Options, Plan, Port

CONTAINER = cli.parse(["--docker-run", "-it", "nginx"])
FACTS = Facts(
    context="east",
    namespace="prod",
    server="https://203.0.113.1:6443",
    needed=(),
    denied=(),
    kubectl="/usr/bin/kubectl",
    direct=True,
    program="/usr/bin/curl",
    shell="/bin/zsh",
    shim=Path("/opt/shim.so"),
    shim_exists=True,
    supervisor=Path("/opt/supervisor"),
    environ={},
)
ENGINE = dataclasses.replace(FACTS, engine="/usr/bin/docker", program=None, shim_exists=False)


def plan(options: Options, facts: Facts) -> Plan:
    return make_plan(options, facts, session=bytes(16), secret=bytes(32))


def test_a_container_needs_no_shim_and_its_engine_is_the_program() -> None:
    made = plan(CONTAINER, ENGINE)
    assert (made.method, made.shim, made.supervisor) == ("container", None, None)
    assert (made.program, made.is_shell) == ("/usr/bin/docker", False)
    assert made.container_run is not None
    assert made.container_run.image == "nginx"


COMPOSE = cli.parse(["--compose-service", "web", "--docker-compose", "-f", "c.yaml"])
COMPOSED = dataclasses.replace(
    ENGINE,
    compose=("/usr/bin/docker-compose",),
    compose_config={"services": {"web": {"image": "web:1", "links": ["db"], "ports": ["80:80"]}}},
)


def test_a_service_of_a_compose_file_is_a_container() -> None:
    made = plan(COMPOSE, COMPOSED)
    assert made.container_run is not None
    assert made.container_run.compose == ("/usr/bin/docker-compose", "--project-directory=.")
    assert made.container_run.proxy_words == ("--publish=80:80",)
    assert made.notes == ("of service web this is left out, as its network is the pod's: links",)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"compose": ()}, "docker has no compose, and docker-compose is not there"),
        ({"compose_config": None, "no_compose": "no c.yaml"}, "^docker compose: no c.yaml"),
        ({"compose_config": {"services": {"db": {}}}}, "has no service web"),
        ({"engine": None}, "docker: command not found"),
    ],
)
def test_a_service_that_cannot_be_one(changed: dict[str, object], said: str) -> None:
    facts = dataclasses.replace(COMPOSED, **changed)  # type: ignore[arg-type] # as the row says
    with pytest.raises(TelepresenceError, match=said) as caught:
        plan(COMPOSE, facts)
    assert caught.value.hint


def test_volumes_of_a_container_need_a_mount_that_the_engine_can_see() -> None:
    assert plan(CONTAINER, ENGINE).mount == Mounting(mode="fuse")
    made = plan(CONTAINER, dataclasses.replace(ENGINE, no_sharing="only root may"))
    assert (made.mount.mode, made.mount.inside) == ("copy", None)
    assert made.notes[-1].startswith("only root may: so copies of what Kubernetes itself writes")
    assert (
        plan(cli.parse([]), dataclasses.replace(FACTS, no_sharing="only root may")).mount.mode
        == "fuse"
    )
    at = plan(cli.parse(["--docker-mount", "/pod", "--docker-run", "nginx"]), ENGINE)
    assert (at.mount.mode, at.mount.inside) == ("fuse", Path("/pod"))
    at = plan(
        cli.parse(["--docker-mount", "/pod", "--docker-run", "nginx"]),
        dataclasses.replace(ENGINE, no_fuse="no sshfs"),
    )
    assert (at.mount.mode, at.mount.inside) == ("copy", Path("/pod"))


def test_ports_of_a_container_are_as_asked_for_and_readiness_follows_it() -> None:
    words = ["--container-to-host", "8000:12399", "--to-pod", "7", "--from-pod", "8",
             "--expose", "80:8080", "--ready-when-listening"]  # fmt: skip
    made = plan(cli.parse([*words, "--docker-run", "nginx"]), ENGINE)
    assert made.container_to_host == (Port(pod=8000, laptop=12399),)
    assert (made.to_pod, made.from_pod, made.ready_when_listening) == ((7,), (8,), True)
    assert not made.notes
    (note,) = plan(cli.parse([*words, "--run", "x"]), FACTS).notes
    assert "--container-to-host does nothing" in note


@pytest.mark.parametrize(
    ("argv", "changed", "said"),
    [
        (["-m", "container"], {}, "--method container runs a container"),
        (["-m", "inject-tcp", "--docker-run", "x"], {}, "needs --method container"),
        (["--volumes-at-real-paths", "--docker-run", "x"], {}, "not for --docker-run"),
        (["--docker-run"], {}, "needs the name of an image"),
        (["--container-to-host", "8", "--to-pod", "8", "--docker-run", "x"], {}, "8 is given tw"),
        (["--container-to-host", "8", "--expose", "8:9", "--docker-run", "x"], {}, "8 is given tw"),
        (["--container-to-host", "8", "--from-pod", "8", "--docker-run", "x"], {}, "8 is given tw"),
        (
            ["--container-to-host", "8", "--container-to-host", "8:9", "--docker-run", "x"],
            {},
            "8 is given tw",
        ),
        (["--to-pod", "41041", "--docker-run", "x"], {}, "41041 of the container is the proxy's"),
        (
            ["--mount", "/x", "--docker-run", "x"],
            {"no_sharing": "no user_allow_other"},
            "volumes cannot be mounted: no user_allow_other",
        ),
        (["-m", "vpn-tcp", "--docker-mount", "/x"], {}, "--docker-mount is for --docker-run"),
        (["--docker-run", "--net", "host", "x"], {}, "--net cannot be given"),
        (["--docker", "podman", "--docker-run", "x"], {"engine": None}, "podman: command not"),
        (["--docker-run", "x"], {"engine_host": "tcp://far:2375"}, "another machine .tcp://far"),
    ],
)
def test_a_container_that_cannot_be(argv: list[str], changed: dict[str, str], said: str) -> None:
    facts = dataclasses.replace(ENGINE, **changed)  # type: ignore[arg-type] # as the row says
    with pytest.raises(TelepresenceError, match=said) as caught:
        plan(cli.parse(argv), facts)
    assert caught.value.hint
