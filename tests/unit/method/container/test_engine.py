"""What is said to an engine."""

import dataclasses
import json
from pathlib import Path

import pytest

from telepresence import cli
from telepresence.errors import MethodError
from telepresence.method.container.engine import Containers, Place, take_places
from telepresence.method.container.run_words import divide
from telepresence.plan import make_plan
from telepresence.values import Facts, Mounting, Plan, Port

SECRET = bytes(range(32))


def plan(*words: str, engine: str = "/usr/bin/docker") -> Plan:
    options = cli.parse(["--docker-run", *words])
    facts = Facts(
        context="east", namespace="prod", server="https://203.0.113.1", needed=(), denied=(),
        kubectl=None, direct=True, program=None, shell="/bin/sh", shim=Path("/x"),
        shim_exists=False, supervisor=Path("/y"), environ={}, engine=engine,
    )  # fmt: skip
    return make_plan(options, facts, session=bytes(16), secret=SECRET)


def both(program: str = "/usr/bin/docker") -> Containers:
    return Containers(program=program, proxy="p", user="u")


def user(
    *words: str, program: str = "/usr/bin/docker", root: Path | None = None, at: Path | None = None
) -> tuple[str, ...]:
    made = plan(*words, engine=program)
    assert made.container_run is not None
    made = dataclasses.replace(made, mount=Mounting(mode="fuse", inside=at))
    return both(program).run_user(made, made.container_run, Path("/f"), ["MULTI"], root)


def test_the_proxy_has_the_ports_one_capability_and_no_secret() -> None:
    made = plan("-p", "80:80", "nginx")
    argv = both().run_proxy(made, divide(("-p", "80:80", "nginx")), ("81/tcp",), SECRET)
    assert argv[:3] == ["/usr/bin/docker", "run", "--rm"]
    at = argv.index(made.image)
    assert {"--cap-drop=ALL", "--cap-add=NET_ADMIN", "--publish=80:80", "--expose=81/tcp",
            "--publish=127.0.0.1::41041/tcp", f"--hostname={made.pod_name}"
            } < set(argv[:at])  # fmt: skip
    assert "--privileged" not in argv
    assert argv[at + 1] == "gateway"
    assert SECRET.hex() not in " ".join(argv)


def test_exposed_ports_of_the_pod_are_the_gateways_to_open() -> None:
    made = plan("nginx")
    made = dataclasses.replace(made, expose=(Port(laptop=8017, pod=80),))
    argv = both().run_proxy(made, divide(("nginx",)), (), SECRET)
    assert "--expose=80:8017" in argv[argv.index("gateway") :]
    declared = Port(laptop=80, pod=80, is_declared=True)
    made = dataclasses.replace(
        made, expose=(declared,), from_pod=(7,), to_pod=(8,), ready_when_listening=True
    )
    gateway = both().run_proxy(made, divide(("nginx",)), (), SECRET)[argv.index("gateway") :]
    assert {"--declared=80:80", "--from-pod=7", "--to-pod=8", "--ready-when-listening"
            } < set(gateway)  # fmt: skip


def test_ports_of_the_laptop_need_a_second_published_port() -> None:
    made = plan("nginx")
    argv = both().run_proxy(made, divide(("nginx",)), (), SECRET)
    assert not any("41042" in word for word in argv)
    made = dataclasses.replace(made, container_to_host=(Port(pod=8000, laptop=12399),))
    argv = both().run_proxy(made, divide(("nginx",)), (), SECRET)
    assert "--publish=127.0.0.1::41042/tcp" in argv[: argv.index("gateway")]
    assert {"--back-port=41042", "--container-to-host=8000"} < set(argv[argv.index("gateway") :])


def test_the_users_words_are_the_last_options() -> None:
    argv = user("-it", "-e", "A=1", "nginx", "sh")
    assert argv[-5:] == ("--interactive", "--tty", "--env=A=1", "nginx", "sh")
    assert {"--network=container:p", "--env-file=/f", "--env=MULTI", "--name=u", "--init",
            "--rm"} < set(argv)  # fmt: skip


def test_the_pods_files_are_where_they_are_here_or_where_they_are_wanted() -> None:
    assert "--mount=type=bind,source=/r,target=/r" in user("nginx", root=Path("/r"))
    assert '--mount=type=bind,"source=/a,b","target=/a,b"' in user("nginx", root=Path("/a,b"))
    words = user("nginx", root=Path("/r"), at=Path("/pod"))
    assert "--mount=type=bind,source=/r,target=/pod" in words
    assert not any(word.startswith("--mount") for word in user("nginx", at=Path("/pod")))


def test_a_name_an_init_and_detaching_are_the_users() -> None:
    argv = user("-d", "--name", "web", "--init=false", "nginx")
    assert "--name=u" not in argv
    assert "--init" not in argv
    assert "--rm" not in argv  # its exit code is asked for after its end
    assert argv.count("--detach") == 1


def test_podman_shares_neither_host_name_nor_lack_of_proxies() -> None:
    argv = user("nginx", program="/usr/bin/podman")
    assert "--http-proxy=false" in argv
    assert any(word.startswith("--hostname=telepresence-") for word in argv)
    assert not any(word.startswith("--hostname") for word in user("nginx"))


def test_nerdctl_is_told_what_docker_is() -> None:
    """Its reference has each of these options; podman's own are not among them."""
    for words in (("nginx",), ("-d", "--name", "web", "nginx"), ("-it", "nginx")):
        assert user(*words, program="/usr/bin/nerdctl") == (
            "/usr/bin/nerdctl", *user(*words, program="/usr/bin/docker")[1:]
        )  # fmt: skip
    made = plan("nginx", engine="/usr/bin/nerdctl")
    argv = both("/usr/bin/nerdctl").run_proxy(made, divide(("nginx",)), (), SECRET)
    options = {word.partition("=")[0] for word in argv[2 : argv.index(made.image)]}
    assert options == {"--rm", "--interactive", "--name", "--hostname", "--user", "--cap-drop",
                       "--cap-add", "--security-opt", "--sysctl", "--label",
                       "--publish"}  # fmt: skip


def test_a_port_is_at_the_containers_own_address_and_published() -> None:
    net = {"IPAddress": "172.17.0.2", "Gateway": "172.17.0.1"}
    ports = {"41041/tcp": [{"HostIp": "127.0.0.1", "HostPort": "32768"}]}
    said = json.dumps({"Ports": ports, "Networks": {"bridge": net, "none": {"IPAddress": ""}}})
    published = Place(host="127.0.0.1", port=32768)
    direct = Place(host="172.17.0.2", port=41041, source="172.17.0.1")
    assert take_places(said, 41041) == (direct, published)
    assert take_places(json.dumps({"Ports": ports, "Networks": None}), 41041) == (published,)
    for wrong in ("{}", json.dumps({"Ports": {"41041/tcp": None}}), "no", "null"):
        with pytest.raises(MethodError, match="does not say where port 41041"):
            take_places(wrong, 41041)
