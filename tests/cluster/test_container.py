"""The user's container in the pod's place, by a real engine.

Called by: pytest.  Before and after each test the engine holds the same containers and volumes.
"""

import json
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from engine_rig import BASE, RUN, docker, image, proxies
from rig import DEADLINE_S, Telepresence, objects
from roles import account

pytestmark = pytest.mark.usefixtures("engine_left_as_it_was")


def test_names_addresses_and_datagrams_are_the_pods(telepresence: Telepresence) -> None:
    """Short and full names by UDP and TCP, and an address of a Service."""
    (service,) = objects("services", "--field-selector=metadata.name=helloworld")
    address = service["spec"]["clusterIP"]
    full = "helloworld.default.svc.cluster.local"
    script = f"""
for name in helloworld helloworld.default {full} {address}; do
  curl -sS -m 10 http://$name | cut -c1-13
done
dig +short {full}; dig +short +tcp {full}; dig +short -x {address} @10.96.0.10
getent hosts no-such-name.invalid || echo none
getent hosts web-0.web.default.svc | wc -l
grep -cE '^search default.svc.cluster.local|^options .*ndots:5' /etc/resolv.conf
hostname
"""
    done = telepresence("-n", "t-names", *RUN, BASE, "sh", "-c", script)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        *["Hello, world!"] * 4, address, address, f"{full}.", "none", "1", "2", "t-names",
    ]  # fmt: skip


def test_variables_are_the_pods_and_the_users_words_win(
    telepresence: Telepresence, tmp_path: Path
) -> None:
    (tmp_path / "own.env").write_text("FROM_FILE=1\nHELLOWORLD_SERVICE_PORT=82\n")
    words = ["-e", "REDIS_MASTER_SERVICE_PORT=81", "--env-file", str(tmp_path / "own.env")]
    done = telepresence(*RUN, *words, BASE, "python3", "-c",
                        "import json, os; print(json.dumps(dict(os.environ)))",
                        env={"ONLY_HERE": "1"})  # fmt: skip
    environ = json.loads(done.out)
    assert environ["TELEPRESENCE_METHOD"] == "container"
    assert environ["POSTGRES_SERVICE_PORT"] == "5432"
    assert environ["REDIS_MASTER_SERVICE_PORT"] == "81"
    assert environ["HELLOWORLD_SERVICE_PORT"] == "82"
    assert environ["FROM_FILE"] == "1"
    assert "ONLY_HERE" not in environ
    assert environ["PATH"] == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def test_pipes_a_user_and_a_read_only_root(telepresence: Telepresence) -> None:
    words = ["-i", "--user", "1234:5678", "--read-only", "-v", "/etc/hostname:/laptop:ro"]
    script = "cat; id -u; id -g; touch /x || echo ro; cat /laptop; curl -s helloworld | cut -c1-5"
    done = telepresence(*RUN, *words, BASE, "sh", "-c", script, stdin="piped\n")
    own = Path("/etc/hostname").read_text().strip()
    assert done.out.splitlines() == ["piped", "1234", "5678", "ro", own, "Hello"], done.err


@pytest.mark.parametrize("code", [0, 7, 255])
def test_the_exit_code_is_the_containers(telepresence: Telepresence, code: int) -> None:
    assert telepresence("--docker-run", BASE, "sh", "-c", f"exit {code}").code == code


def test_an_image_that_is_nowhere_is_the_engines_error(telepresence: Telepresence) -> None:
    done = telepresence("--docker-run", "localhost/no-such-image:1", "true")
    assert done.code == 125
    assert "no-such-image" in done.err


def test_published_ports_and_words_behind_the_image(telepresence: Telepresence) -> None:
    """-p goes to the proxy container; the command keeps its own -p."""
    words = ["-ip", "127.0.0.1:28017:8017", "--name", "t-named"]
    serve = """
import http.server, sys
print(sys.argv[1:], flush=True)
http.server.test(http.server.SimpleHTTPRequestHandler, port=8017)"""
    with telepresence.running(*RUN, *words, BASE, "python3", "-c", serve, "-p", "1:2") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "['-p', '1:2']\n"
        assert "t-named" in docker("ps", "--format", "{{.Names}}")
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                assert urllib.request.urlopen("http://127.0.0.1:28017", timeout=10).status == 200
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)


def test_a_terminal(telepresence: Telepresence) -> None:
    words = [*telepresence.argv("--docker-run", "-it", BASE), "tty"]
    done = subprocess.run(["script", "-qec", " ".join(words), "/dev/null"],
                          cwd=telepresence.directory, capture_output=True, text=True,
                          timeout=DEADLINE_S)  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "/dev/pts/0" in done.stdout


@pytest.mark.parametrize(("words", "first"), [((), False), (("--init=false",), True)])
def test_init_is_added_unless_it_is_not_wanted(
    telepresence: Telepresence, words: tuple[str, ...], first: bool
) -> None:
    done = telepresence(*RUN, *words, BASE, "sh", "-c", "echo $$")
    assert (done.out == "1\n") is first, done.err


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGINT, ()), (signal.SIGTERM, ("--name", "t-of-my-own"))]
)
def test_a_signal_ends_it_within_its_grace_time(
    telepresence: Telepresence, number: signal.Signals, words: tuple[str, ...]
) -> None:
    """Also one that has a name of the user's."""
    script = "echo up; exec sleep 600"
    with telepresence.running(*RUN, *words, BASE, "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        began = time.monotonic()
        process.send_signal(number)
        process.wait(DEADLINE_S)
        assert time.monotonic() - began < 6


def test_a_detached_container_keeps_the_session(telepresence: Telepresence) -> None:
    done = telepresence("--docker-run", "-d", "--rm", BASE, "sh", "-c", "sleep 2; exit 5")
    assert done.code == 5, done.err
    assert len(done.out.strip()) == 64  # its id
    assert done.seconds > 2


def test_killed_and_both_containers_are_gone(telepresence: Telepresence) -> None:
    before = docker("ps", "-aq")
    with telepresence.running(
        *RUN, BASE, "sh", "-c", "trap '' TERM; echo up; sleep 600"
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        assert len(docker("ps", "-q").split()) == len(before.split()) + 2
        process.kill()
        process.wait()
        began = time.monotonic()
        while docker("ps", "-aq") != before:
            assert time.monotonic() - began < 20
            time.sleep(0.2)
        telepresence.wait_log(
            "undone from the journal: directory"
        )  # the last that the guard undoes


def test_two_sessions_at_once(telepresence: Telepresence) -> None:
    words = [*RUN, "-i", BASE, "sh", "-c", "curl -s http://helloworld; cat"]
    with (
        telepresence.running("--logfile", "one.log", *words) as one,
        telepresence.running("--logfile", "two.log", *words) as two,
    ):
        for process in (one, two):
            assert process.stdout is not None
            assert process.stdout.readline().startswith("Hello, world!")
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(DEADLINE_S) == 0
            process.stdin = None


def test_the_proxy_has_one_capability_and_little_memory(telepresence: Telepresence) -> None:
    with telepresence.running(*RUN, BASE, "sh", "-c", "echo up; exec sleep 600") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        (name,) = proxies()
        (state,) = json.loads(docker("inspect", name))
        assert state["HostConfig"]["CapAdd"] in (["NET_ADMIN"], ["CAP_NET_ADMIN"])
        assert state["HostConfig"]["CapDrop"] == ["ALL"]
        assert not state["HostConfig"]["Privileged"]
        used = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", name).split("MiB")[0]
        assert float(used) < 25
        assert telepresence.log.read_text().count("is attached over") == 1


def test_a_static_program_without_shell_or_libc(telepresence: Telepresence, tmp_path: Path) -> None:
    """busybox alone in an image: no shell, musl or glibc, and a user that nothing knows."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("no busybox: make setup installs busybox-static")
    (tmp_path / "image").mkdir()
    shutil.copy(busybox, tmp_path / "image" / "busybox")
    changes = ("USER 4711", 'ENTRYPOINT ["/busybox"]')
    with image("t-static:1", tmp_path / "image", *changes):
        done = telepresence(*RUN, "t-static:1", "wget", "-q", "-O", "-", "http://helloworld")
    assert done.out.startswith("Hello, world!"), done.err


def test_the_printed_role_is_enough(telepresence: Telepresence, namespace: str) -> None:
    words = ("-m", "container", "-n", "t-role", *RUN, BASE, "true")
    user = account(telepresence, namespace, *words)
    done = telepresence("--namespace", namespace, *words, env=user)
    assert done.code == 0, done.err
    assert not objects("pods", "-n", namespace)
