"""Static and Go programs, and those that ask name servers themselves, in the cluster."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from rig import Telepresence

INJECT = ("--method", "inject-tcp")
PROGRAMS = Path(__file__).resolve().parents[1] / "preload" / "programs"
HELLO = "Hello, world! I am helloworld-"


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that everybody may enter, with fetch-go and fetch-musl."""
    folder = tmp_path_factory.mktemp("closed")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    go = [*("go", "build", "-o"), str(folder / "fetch-go"), str(PROGRAMS / "fetch.go")]
    subprocess.run(go, check=True, env={**os.environ, "CGO_ENABLED": "0"})
    musl = ["musl-gcc", "-static", "-o", str(folder / "fetch-musl"), str(PROGRAMS / "fetch.c")]
    subprocess.run(musl, check=True)
    return folder


@pytest.mark.parametrize("inject", ["auto", "seccomp"])
def test_a_shell_starts_any_kind_of_program(
    telepresence: Telepresence, programs: Path, inject: str
) -> None:
    script = f"""
        {programs}/fetch-go http://helloworld/ http://helloworld.default.svc.cluster.local/
        {programs}/fetch-musl helloworld.default 80
        busybox wget -q -O - http://helloworld/
        curl -s http://helloworld/
        env -i {programs}/fetch-go http://helloworld/
        echo http://helloworld/ | xargs -P 4 {programs}/fetch-go
        timeout 20 {programs}/fetch-go http://nobody/
    """
    done = telepresence(*INJECT, f"--inject={inject}", "--run", "sh", "-c", script)
    assert done.out.count(HELLO) == 7, done
    assert "no such host" in done.out


def test_a_go_program_is_the_command(telepresence: Telepresence, programs: Path) -> None:
    done = telepresence(*INJECT, "--run", str(programs / "fetch-go"), "http://helloworld/")
    assert (done.code, done.out[: len(HELLO)]) == (0, HELLO), done.err


def test_without_the_supervisor_it_is_refused_beforehand(
    telepresence: Telepresence, programs: Path
) -> None:
    words = [str(programs / "fetch-go"), "http://helloworld/"]
    done = telepresence(*INJECT, "--inject=preload", "--run", *words)
    assert (done.code, done.out) == (255, "")
    assert "is a Go program, which a preloaded library cannot enter" in done.err
    for way in ("vpn-tcp", "gccgo", "GODEBUG=netdns=cgo"):
        assert way in done.err
    assert "created pod" not in telepresence.log.read_text()


@pytest.mark.parametrize("inject", ["auto", "preload", "seccomp"])
def test_questions_to_a_name_server_are_answered_in_the_pod(
    telepresence: Telepresence, inject: str
) -> None:
    name = "helloworld.default.svc.cluster.local"
    script = f"dig +short {name}; host -t A {name}; nslookup {name}; dig +tcp +short {name}"
    script += "; echo $HELLOWORLD_SERVICE_HOST"
    done = telepresence(*INJECT, f"--inject={inject}", "--run", "sh", "-c", script)
    address = done.out.splitlines()[-1]
    assert done.out.count(address) == script.count(";") + 1, done
    assert f"{name} has address {address}" in done.out


def test_an_ordinary_user_runs_a_go_program_and_hears_of_setuid_ones(
    telepresence: Telepresence, programs: Path, kubeconfig: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("these tests run as an ordinary user already")
    own = telepresence.directory / "kubeconfig"
    shutil.copy(kubeconfig, own)
    nobody = pwd.getpwnam("nobody")
    for path in (own, telepresence.directory):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    for parent in telepresence.directory.parents[:2]:
        parent.chmod(0o755)
    script = f"{programs}/fetch-go http://helloworld; su -c id; su -c id; exit 0"
    done = subprocess.run(
        telepresence.argv(*INJECT, "--run", "sh", "-c", script),
        cwd=telepresence.directory, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[],
        env={"KUBECONFIG": str(own), "HOME": str(telepresence.directory),
             "PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.startswith(HELLO), done.stderr
    log = telepresence.log.read_text()
    assert log.count("/su (setuid) runs without the rights that would give it") == 1


@pytest.mark.parametrize("inject", ["auto", "preload", "seccomp"])
def test_what_needs_icmp_exits_55(telepresence: Telepresence, inject: str) -> None:
    script = "traceroute helloworld; test $? = 55 && ping helloworld"
    done = telepresence(*INJECT, f"--inject={inject}", "--run", "sh", "-c", script)
    assert done.code == 55, done
    assert "T: traceroute cannot work" in done.err
    assert "T: ping cannot work" in done.err


def test_a_substitute_may_be_the_command_itself(telepresence: Telepresence) -> None:
    done = telepresence(*INJECT, "--inject=preload", "--run", "ping", "helloworld")
    assert done.code == 55, done
    assert "T: ping cannot work" in done.err


def test_a_session_within_a_session_has_the_library_alone(
    telepresence: Telepresence, programs: Path
) -> None:
    """A process has one supervisor at most: here the kernel says no."""
    inner = [
        *telepresence.argv(*INJECT, "--logfile", str(telepresence.directory / "inner")),
        "--run",
    ]
    why = "this process has a supervisor already, and there can be one only"
    refused = telepresence(
        *INJECT, "--run", *inner, str(programs / "fetch-go"), "http://helloworld"
    )
    assert (refused.code, refused.out) == (255, "")
    assert f"is a Go program, which a preloaded library cannot enter ({why})" in refused.err
    warned = telepresence(*INJECT, "--run", *inner, "curl", "-s", "http://helloworld")
    assert warned.out.startswith(HELLO), warned.err
    assert f"T: {why}: static, Go and setuid programs that curl starts" in warned.err
