"""The words after --docker-run: what takes a value, where it goes, what is refused."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from telepresence.errors import UsageError
from telepresence.method.container.run_words import SHORT, divide, take_options, takes_value

OPTION = re.compile(r"^  (?:-(\w), |    )--([\w-]+)( \S+)?(?:  |$)", re.M)


NEWER = Path(__file__).parents[4] / "build" / "unpacked-trixie" / "usr" / "bin" / "docker"


@pytest.mark.parametrize("engine", ["docker", str(NEWER), "podman", "nerdctl"])
def test_the_installed_engine_takes_values_where_we_think_so(engine: str) -> None:
    if shutil.which(engine) is None:
        pytest.skip(f"no {engine} here: the sandbox brings docker, make setup another and podman")
    shown = subprocess.run([engine, "run", "--help"], capture_output=True, text=True, check=True)
    options = OPTION.findall(shown.stdout)
    assert len(options) > 80
    for short, name, value in options:
        assert takes_value(name) == bool(value), name
        assert not short or SHORT[short] == name


def test_nerdctl_takes_values_where_we_think_so() -> None:
    """It is in no Debian; so by its command reference, of 2.0."""
    switches = ("interactive tty sig-proxy detach rm init oom-kill-disable privileged read-only "
                "rootfs insecure-registry")  # fmt: skip
    valued = ("restart pull pid stop-signal init-binary net p dns add-host cpus memory cgroup-conf "
              "device rdt-class user umask group-add security-opt cap-add systemd runtime sysctl "
              "volume tmpfs mount volumes-from entrypoint workdir env-file name label annotation "
              "cidfile pidfile log-driver ipc shm-size gpus ulimit verify cosign-key ipfs-address "
              "namespace address snapshotter")  # fmt: skip
    assert not [name for name in switches.split() if takes_value(name)]
    assert not [name for name in valued.split() if not takes_value(SHORT.get(name, name))]


@pytest.mark.parametrize(
    ("words", "proxy", "user", "command"),
    [
        ("nginx", "", "", ""),
        ("-it nginx sh -c x", "", "--interactive --tty", "sh -c x"),
        ("-p 80:80 nginx -p 5000", "--publish=80:80", "", "-p 5000"),
        ("-p80:80 nginx", "--publish=80:80", "", ""),
        ("-p=80:80 nginx", "--publish=80:80", "", ""),
        ("-itp 80:80 nginx", "--publish=80:80", "--interactive --tty", ""),
        ("-itp80:80 nginx", "--publish=80:80", "--interactive --tty", ""),
        ("--publish 80:80 nginx", "--publish 80:80", "", ""),
        ("--publish=80:80 nginx", "--publish=80:80", "", ""),
        ("-p 1:1 -p 2:2/udp nginx", "--publish=1:1 --publish=2:2/udp", "", ""),
        ("-P nginx", "--publish-all", "", ""),
        ("-iP nginx", "--publish-all", "--interactive", ""),
        ("--expose 81 nginx", "--expose 81", "", ""),
        ("--sysctl net.core.somaxconn=9 nginx", "--sysctl net.core.somaxconn=9", "", ""),
        ("--sysctl kernel.msgmax=9 nginx", "", "--sysctl kernel.msgmax=9", ""),
        ("-e A=1 --env B nginx", "", "--env=A=1 --env B", ""),
        ("-v /a:/b --rm nginx", "", "--volume=/a:/b", ""),
        ("--init=false nginx", "", "--init=false", ""),
        ("-i=false nginx", "", "--interactive=false", ""),
        ("--name web nginx --name x", "", "--name web", "--name x"),
        ("-- nginx -d", "", "", "-d"),
        ("--entrypoint sh nginx -c x", "", "--entrypoint sh", "-c x"),
        ("--an-option-of-tomorrow x nginx", "", "--an-option-of-tomorrow x", ""),
    ],
)
def test_each_word_goes_where_it_belongs(words: str, proxy: str, user: str, command: str) -> None:
    run = divide(tuple(words.split()))
    assert run.image == "nginx"
    assert run.proxy_words == tuple(proxy.split())
    assert run.user_words == tuple(user.split())
    assert run.command == tuple(command.split())


def test_what_is_known_of_the_users_container() -> None:
    run = divide(("-dP", "--name=web", "--init=false", "--stop-timeout", "7", "nginx"))
    assert (run.name, run.is_detached, run.publishes_all) == ("web", True, True)
    assert (run.has_init, run.stop_timeout_s) == (True, 7)
    plain = divide(("--detach=false", "nginx"))
    assert (plain.name, plain.is_detached, plain.publishes_all) == (None, False, False)
    assert (plain.has_init, plain.stop_timeout_s) == (False, None)


@pytest.mark.parametrize(
    "words",
    ["--network host", "--network=host", "--net host", "--ip 1.2.3.4", "--link a", "-h web",
     "--hostname web", "--dns 1.1.1.1", "--dns-search x", "--dns-option x", "--add-host a:1.2.3.4",
     "--mac-address 0:1:2:3:4:5", "--uts host", "--restart always", "--pod x", "-ith web"],
)  # fmt: skip
def test_what_belongs_to_the_shared_network_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match="cannot be given") as caught:
        divide((*words.split(), "nginx"))
    assert "leave out --" in caught.value.hint
    assert divide(("nginx", *words.split())).command == tuple(words.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [("", "needs the name of an image"), ("-it", "needs the name of an image"),
     ("--", "needs the name of an image"), ("--name", "--name needs a value"),
     ("-it -p", "-p needs a value")],
)  # fmt: skip
def test_what_no_engine_could_run_is_refused(words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        divide(tuple(words.split()))


def test_a_dash_alone_is_no_option() -> None:
    assert take_options(("-", "x")) == ([], ("-", "x"))
