"""The command line: every option, every refusal, and the manual."""

import dataclasses
from pathlib import Path

import pytest

from telepresence import __version__, cli
from telepresence.errors import UsageError
from telepresence.values import Mounting, Options, Port, Target

GOLDEN = Path(__file__).with_name("test_help.txt")


DEFAULTS: dict[str, object] = {
    "mount": {"mode": "fuse", "path": None, "inside": None, "is_required": False},
    "method": "vpn-tcp",
    "ready_timeout_s": 120.0,
    "inject": "auto",
    "docker": "docker",
    "docker_run": None,
    "docker_compose": None,
    "compose_service": None,
    "new_deployment": None,
    "swap_deployment": None,
    "deployment": None,
    "serviceaccount": None,
    "expose": (),
    "from_pod": (),
    "to_pod": (),
    "container_to_host": (),
    "ready_when_listening": None,
    "command": (),
    "context": None,
    "namespace": None,
    "image": None,
    "image_pull_secret": (),
    "logfile": "./telepresence.log",
    "verbose": False,
    "volumes_at_real_paths": False,
    "env_include": (),
    "env_exclude": (),
    "env_json": None,
    "env_file": None,
    "env_syntax": None,
    "also_proxy": (),
    "never_proxy": (),
    "is_near": False,
}


def options(**changed: object) -> Options:
    return dataclasses.replace(cli.parse([]), **changed)  # type: ignore[arg-type] # as it is


def test_no_words_mean_a_shell_and_the_defaults() -> None:
    assert dataclasses.asdict(cli.parse([])) == DEFAULTS
    assert cli.parse(["--run-shell"]) == cli.parse([])


@pytest.mark.parametrize(
    ("argv", "changed"),
    [
        (["-m", "vpn-tcp"], {}),
        (["--method", "vpn-tcp"], {}),
        (["-m", "inject-tcp"], {"method": "inject-tcp"}),
        (["--local-cluster"], {"is_near": True}),
        (
            ["--also-proxy", "DB.example.com", "--also-proxy", "10.1.2.3/8", "--also-proxy", "::1"],
            {"also_proxy": ("db.example.com", "10.0.0.0/8", "::1/128")},
        ),
        (["--never-proxy", "10.1.2.3"], {"never_proxy": ("10.1.2.3/32",)}),
        (["--inject", "seccomp"], {"inject": "seccomp"}),
        (["--inject=preload"], {"inject": "preload"}),
        (["--method=inject-tcp"], {"method": "inject-tcp"}),
        (["-n", "quickstart"], {"new_deployment": "quickstart"}),
        (["--new-deployment", "quickstart"], {"new_deployment": "quickstart"}),
        (["-s", "web"], {"swap_deployment": Target(kind=None, name="web", container=None)}),
        (["-d", "rs/web:c"], {"deployment": Target(kind="rs", name="web", container="c")}),
        (["--deployment=web"], {"deployment": Target(kind=None, name="web", container=None)}),
        (["--serviceaccount", "a.b"], {"serviceaccount": "a.b"}),
        (["--expose", "80"], {"expose": (Port(laptop=80, pod=80),)}),
        (
            ["--expose", "8080:80", "--expose", "8080:81"],
            {"expose": (Port(laptop=8080, pod=80), Port(laptop=8080, pod=81))},
        ),
        (["--to-pod", "1", "--to-pod", "2"], {"to_pod": (1, 2)}),
        (["--from-pod", "1"], {"from_pod": (1,)}),
        (
            ["--container-to-host", "1", "--container-to-host", "8000:12399"],
            {"container_to_host": (Port(pod=1, laptop=1), Port(pod=8000, laptop=12399))},
        ),
        (["--ready-when-listening"], {"ready_when_listening": True}),
        (["--no-ready-when-listening"], {"ready_when_listening": False}),
        (["--docker", "podman"], {"docker": "podman"}),
        (["--context", "east"], {"context": "east"}),
        (["--namespace", "prod"], {"namespace": "prod"}),
        (["--image", "registry:5000/agent:1"], {"image": "registry:5000/agent:1"}),
        (
            ["--image-pull-secret", "a", "--image-pull-secret", "b.c"],
            {"image_pull_secret": ("a", "b.c")},
        ),
        (["--logfile", "-"], {"logfile": "-"}),
        (["--verbose"], {"verbose": True}),
        (["--env-include", "A*", "--env-include", "B"], {"env_include": ("A*", "B")}),
        (["--volumes-at-real-paths"], {"volumes_at_real_paths": True}),
        (["--mount", "true"], {"mount": Mounting(mode="fuse", is_required=True)}),
        (["--mount=Yes"], {"mount": Mounting(mode="fuse", is_required=True)}),
        (["--mount", "/x"], {"mount": Mounting(mode="fuse", path=Path("/x"), is_required=True)}),
        (["--mount", "copy"], {"mount": Mounting(mode="copy", is_required=True)}),
        (
            ["--docker-mount", "/x"],
            {"mount": Mounting(mode="fuse", inside=Path("/x"), is_required=True)},
        ),
        (["--mount", "off"], {"mount": Mounting(mode="none")}),
        (["--mount", "0"], {"mount": Mounting(mode="none")}),
        (["--env-exclude", "A"], {"env_exclude": ("A",)}),
        (["--env-json", "x.json"], {"env_json": "x.json"}),
        (["--env-file", "x.env", "--env-syntax", "sh"], {"env_file": "x.env", "env_syntax": "sh"}),
    ],
)
def test_each_option_fills_its_own_field(argv: list[str], changed: dict[str, object]) -> None:
    assert cli.parse(argv) == options(**changed)
    assert cli.parse([*argv, "--run", "true"]) == options(**changed, command=("true",))


@pytest.mark.parametrize(
    "command",
    [
        ("curl", "-s", "http://helloworld"),
        ("curl", "--version", "-n", "x", "--verbose", "--help"),
        ("sh", "-c", "echo a  b"),
        ("xargs", "--", "echo", "--", "--run", "--run-shell"),
        ("env", ""),
        ("--run",),
    ],
)
def test_every_word_after_run_belongs_to_the_command(command: tuple[str, ...]) -> None:
    assert cli.parse(["-n", "a", "--run", *command]) == options(new_deployment="a", command=command)


@pytest.mark.parametrize("words", [(), ("nginx",), ("--rm", "nginx", "--", "--run", "x")])
def test_every_word_after_docker_run_is_the_engines(words: tuple[str, ...]) -> None:
    assert cli.parse(["-n", "a", "--docker-run", *words]) == options(
        new_deployment="a", method="container", docker_run=words
    )


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["-m", "teleport"], "invalid choice: 'teleport'"),
        (["--env-syntax", "ini"], "invalid choice: 'ini'"),
        (["--mount", "x"], "'x' is neither true, false, copy nor an absolute path"),
        (["--mount", ""], "neither true, false, copy nor"),
        (["--docker-mount", "x"], "'x' is no absolute path"),
        (["--docker-mount", "/x", "--mount", "/y"], "not allowed with"),
        (["--container-to-host", "1:2:3"], "'1:2:3' is not PORT[:HOST_PORT]"),
        (["--env-json", ""], "the value is empty"),
        (["-n", "Upper"], "'Upper' is no Kubernetes name"),
        (["-n", "under_score"], "no Kubernetes name"),
        (["-n", "-dash"], "-n"),
        (["-n", "dash-"], "no Kubernetes name"),
        (["-n", ""], "no Kubernetes name"),
        (["-n", "a" * 64], "no Kubernetes name"),
        (["-n", "a\n"], "no Kubernetes name"),
        (["-s", ""], "'' is no Kubernetes name"),
        (["-n", "a", "-s", "b"], "not allowed with"),
        (["-d", "a", "-s", "b"], "not allowed with"),
        (["-n", "a", "-d", "b"], "not allowed with"),
        (["-d", ""], "'' is no Kubernetes name"),
        (["--serviceaccount", "A"], "'A' is no Kubernetes name"),
        (["--expose", "abc"], "'abc' is no port (1 to 65535)"),
        (["--expose", "1:2:3"], "'1:2:3' is not PORT[:REMOTE]"),
        (["--expose", "99999999"], "'99999999' is no port"),
        (["--expose", "0"], "'0' is no port"),
        (["--expose", "80:"], "'' is no port"),
        (["--expose", "-1"], "--expose"),
        (["--expose", "٣"], "is no port"),
        (["--expose", "80", "--expose", "81:80"], "port 80 of the pod is given twice"),
        (["--expose", "81:80", "--from-pod", "80"], "port 80 of the pod is given twice"),
        (["--to-pod", "80", "--to-pod", "80"], "port 80 is given twice"),
        (["--to-pod", "80", "--expose", "80:81"], "port 80 would lead to the pod and back"),
        (["--to-pod", "x"], "'x' is no port"),
        (["--docker-compose"], "--compose-service NAME and --docker-compose go together"),
        (["--compose-service", "w", "--docker-run", "x"], "--compose-service NAME and --docker-co"),
        (["--compose-service", "web"], "--compose-service NAME and --docker-compose go together"),
        (["--context", ""], "the value is empty"),
        (["--namespace="], "the value is empty"),
        (["--image", ""], "the value is empty"),
        (["--image-pull-secret", "A"], "'A' is no Kubernetes name"),
        (["--logfile", ""], "the value is empty"),
        (["--logfile"], "expected one argument"),
        (["--verb"], "unrecognized arguments: --verb"),
        (["curl"], "unrecognized arguments: curl"),
        (["--run-shell", "--run", "ls"], "not allowed with"),
        (["--run"], "--run needs a command"),
        (["--run=ls"], "--run needs a command"),
        (["--run", ""], "--run needs a command"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_with_its_name(argv: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        cli.parse(argv)
    assert said in str(caught.value)
    assert caught.value.hint == "telepresence --help lists every option"
    assert caught.value.exit_code == 2


def test_a_name_may_have_63_characters() -> None:
    assert cli.parse(["-n", "a" * 63]).new_deployment == "a" * 63


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.parse(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_help_is_the_manual_that_was_agreed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To agree to another: COLUMNS=80 telepresence --help > tests/unit/test_help.txt"""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        cli.parse(["--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == GOLDEN.read_text()


# Of Telepresence 1's manual: each option with the form of its argument.
TELEPRESENCE_1 = [
    "--help", "--version", "--verbose", "--logfile FILE", "--method inject-tcp", "-m vpn-tcp",
    "--method container --docker-run x", "--new-deployment NAME", "-n name", "-s name",
    "--swap-deployment name:container", "--deployment name", "-d name:container", "--context x",
    "--namespace x", "--serviceaccount x", "--expose 80", "--expose 8080:80", "--to-pod 80",
    "--from-pod 80", "--container-to-host 80", "--container-to-host 80:81",
    "--also-proxy 192.0.2.1", "--also-proxy 192.0.2.0/24", "--also-proxy db.example.com",
    "--local-cluster", "--docker-mount /x --docker-run x", "--mount /x", "--mount true",
    "--mount False", "--env-json FILE", "--env-file FILE", "--run-shell", "--run x -y --run z",
    "--docker-run -p 80:80 x y",
]  # fmt: skip


@pytest.mark.parametrize("line", TELEPRESENCE_1)
def test_telepresence_1s_options_are_options(line: str) -> None:
    words = line.replace("NAME", "name").split()
    if words[0] in ("--help", "--version"):
        with pytest.raises(SystemExit):
            cli.parse(words)
    else:
        assert cli.parse(words)


def test_every_option_states_its_default() -> None:
    for action in cli._parser()._actions:
        said = action.help or ""
        if action.dest in ("help", "version"):
            continue
        assert "default" in said, action.option_strings
