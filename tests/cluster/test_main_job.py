"""A program here gets its answers from Services there."""

import json
import os
import pwd
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest

from rig import Telepresence, objects

INJECT = ("--method", "inject-tcp")


def test_curl_gets_helloworlds_answer(telepresence: Telepresence) -> None:
    done = telepresence(*INJECT, "-n", "t-quickstart", "--run", "curl", "-s", "http://helloworld")
    assert (done.code, done.out[:13]) == (0, "Hello, world!"), done.err
    assert not objects("pods", "--field-selector=metadata.name=t-quickstart")


def test_redis_postgres_and_a_full_cluster_name(telepresence: Telepresence) -> None:
    program = """
import os, socket, subprocess, urllib.request
sock = socket.create_connection(("redis-master", 6379))
sock.sendall(b"PING\\r\\n")
print(sock.recv(100))
print(urllib.request.urlopen("http://helloworld.default.svc.cluster.local").read()[:5])
print(subprocess.check_output(
    ["psql", "-h", "postgres", "-U", "demo", "-d", "demo", "-Atc", "select 6*7"],
    env={**os.environ, "PGPASSWORD": "demo"}))
print(subprocess.check_output(["redis-cli", "-h", "redis-master.default", "echo", "hi"]))
"""
    done = telepresence("-m", "inject-tcp", "--run", "python3", "-c", program)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [r"b'+PONG\r\n'", "b'Hello'", r"b'42\n'", r"b'hi\n'"]


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_exit_code_is_the_childs(telepresence: Telepresence, code: int) -> None:
    assert telepresence(*INJECT, "--run", "sh", "-c", f"exit {code}").code == code


def test_a_child_that_a_signal_ends_gives_128_and_its_number(telepresence: Telepresence) -> None:
    assert telepresence(*INJECT, "--run", "sh", "-c", "kill -KILL $$").code == 137


def test_run_swallows_everything_after_it(telepresence: Telepresence) -> None:
    words = ["--version", "-n", "x", "--run", "--", "-m", "bogus"]
    done = telepresence(*INJECT, "--run", "printf", "%s,", *words)
    assert done.out == "".join(f"{word}," for word in words)


def test_the_pods_environment_is_the_childs(telepresence: Telepresence) -> None:
    done = telepresence(*INJECT, "-n", "t-env", "--run", "/usr/bin/python3", "-c",
                        "import json, os; print(json.dumps(dict(os.environ)))")  # fmt: skip
    environ = json.loads(done.out)
    (service,) = objects("services", "--field-selector=metadata.name=helloworld")
    assert environ["HELLOWORLD_SERVICE_HOST"] == service["spec"]["clusterIP"]
    assert environ["HELLOWORLD_SERVICE_PORT"] == "80"
    assert environ["TELEPRESENCE_POD"] == "t-env"
    assert environ["TELEPRESENCE_CONTAINER"] == "telepresence"
    assert environ["TELEPRESENCE_METHOD"] == "inject-tcp"
    assert environ["HOME"] == os.environ["HOME"]
    assert environ["PATH"].endswith(":" + os.environ["PATH"])  # substitutes come first


def test_a_shell_is_the_users_own_and_its_programs_are_in_the_cluster(
    telepresence: Telepresence,
) -> None:
    done = telepresence(*INJECT, "--run-shell", env={"SHELL": "/bin/bash"},
                        stdin="curl -s http://helloworld\necho $0\nexit 3\n")  # fmt: skip
    assert done.out.startswith("Hello, world!")
    assert done.out.splitlines()[1] == "/bin/bash"
    assert done.code == 3


def test_stdin_stdout_and_stderr_are_the_childs(telepresence: Telepresence) -> None:
    done = telepresence(*INJECT, "--run", "sh", "-c", "cat; echo err >&2", stdin="from here\n")
    assert (done.out, done.err) == ("from here\n", "err\n")


def test_nothing_of_the_session_is_secret_in_log_argv_or_pod(telepresence: Telepresence) -> None:
    with telepresence.running(*INJECT, "-n", "t-secret", "--run", "sh", "-c",
                              "cat $TORSOCKS_CONF_FILE; cat") as process:  # fmt: skip
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        (password,) = (line.split()[1] for line in lines if line.startswith("SOCKS5Password"))
        listed = subprocess.run(["ps", "-ef", "ww"], capture_output=True, text=True, check=True)
        assert password not in listed.stdout
        (pod,) = objects("pods", "--field-selector=metadata.name=t-secret")
        assert password not in json.dumps(pod)
        log = telepresence.wait_log("started")
        assert password not in log
    assert stat.S_IMODE(telepresence.log.stat().st_mode) == 0o600


def test_another_user_of_the_laptop_cannot_use_the_proxy(telepresence: Telepresence) -> None:
    with telepresence.running(*INJECT, "--run", "sh", "-c",
                              "cat $TORSOCKS_CONF_FILE; cat") as process:  # fmt: skip
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        (port,) = (line.split()[1] for line in lines if line.startswith("TorPort"))
        words = ["curl", "-sS", "-m", "10", "--socks5-hostname", f"127.0.0.1:{port}"]
        words.append("http://helloworld")
        refused = subprocess.run(words, capture_output=True, text=True)
        assert refused.returncode == 97  # CURLE_PROXY
        assert not refused.stdout


def test_an_ordinary_user_needs_nothing_but_a_kubeconfig(
    telepresence: Telepresence, kubeconfig: Path
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
    done = subprocess.run(
        telepresence.argv(*INJECT, "--run", "sh", "-c", "id -un; curl -s http://helloworld"),
        cwd=telepresence.directory, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[],
        env={"KUBECONFIG": str(own), "HOME": str(telepresence.directory),
             "PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("nobody\nHello, world!"), done.stderr


def test_several_sessions_at_once(telepresence: Telepresence, tmp_path: Path) -> None:
    words = [*INJECT, "--logfile", "-", "--run", "sh", "-c", "curl -s http://helloworld; cat"]
    with telepresence.running(*words) as one, telepresence.running(*words) as two:
        for process in (one, two):
            assert process.stdout is not None
            while not (line := process.stdout.readline()).startswith("Hello, world!"):
                assert line, "it ended"


def test_the_session_ends_when_its_pod_is_deleted(telepresence: Telepresence) -> None:
    with telepresence.running(*INJECT, "-n", "t-gone", "--run", "sleep", "60") as process:
        telepresence.wait_log("started")
        began = time.monotonic()
        subprocess.run(["kubectl", "delete", "pod", "t-gone", "--wait=false"], check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        assert process.wait(30) == 255
        assert time.monotonic() - began < 15
        assert process.stderr is not None
        assert "pod t-gone" in process.stderr.read()
