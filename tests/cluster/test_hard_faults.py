"""What befalls a session from outside: the API server, the node, the kernel, other people."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from laptop import SANDBOX
from rig import Telepresence, kubectl, objects
from workloads import apply, get, state, until, until_ready, until_state, workload

INJECT = ("-m", "inject-tcp")
SANDBOX_PIDS = Path("/run/telepresence-sandbox/processes")
# One connection for the whole time: a reset would be an error.
TALK = """
import socket, sys
with socket.create_connection(("redis-master.default", 6379)) as redis:
    for line in sys.stdin:
        redis.sendall(b"PING\\r\\n")
        print(redis.recv(100).decode().strip(), flush=True)
"""


@pytest.fixture
def web(namespace: str) -> str:
    apply(namespace, workload("web", replicas=1))
    until_ready(namespace, "deployment/web")
    return namespace


def swap(namespace: str, *command: str) -> tuple[str, ...]:
    return (*INJECT, "--namespace", namespace, "-s", "web", "--run", *command)


def test_the_api_server_is_restarted_meanwhile(telepresence: Telepresence, web: str) -> None:
    if not SANDBOX_PIDS.is_dir():
        pytest.skip("no sandbox runs, whose API server could be killed: sandbox/sandbox up")
    before = state(web)
    with telepresence.running(*swap(web, "python3", "-c", TALK)) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ping() -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            return process.stdout.readline()

        assert ping() == "+PONG\n"
        os.kill(int((SANDBOX_PIDS / "apiserver.pid").read_text().split()[0]), signal.SIGKILL)
        subprocess.run([SANDBOX, "up"], check=True, capture_output=True, timeout=60)
        assert ping() == "+PONG\n"
        assert get(web, "deployment/web")["spec"]["replicas"] == 0
        # The watches have begun anew.
        kubectl("scale", "-n", web, "deployment/web", "--replicas=1")
        telepresence.wait_log("was scaled to 1 by")
        _, err = process.communicate("", timeout=60)
    assert process.returncode == 0, err
    until_state(web, before)


def test_the_node_is_drained_meanwhile(telepresence: Telepresence, web: str) -> None:
    before = state(web)
    with telepresence.running(*swap(web, "sleep", "60")) as process:
        telepresence.wait_log("stage: process started")
        (pod,) = objects("pods", "-n", web, "-l", "telepresence")
        node = pod["spec"]["nodeName"]
        try:
            kubectl("drain", node, "--force", "--pod-selector",
                    f"telepresence={pod['metadata']['labels']['telepresence']}")  # fmt: skip
            _, err = process.communicate(timeout=60)
        finally:
            kubectl("uncordon", node)
    assert process.returncode == 255
    assert f"pod {pod['metadata']['name']}" in err
    assert "left behind" not in err
    until_state(web, before)


def test_an_edited_template_stays(telepresence: Telepresence, web: str) -> None:
    with telepresence.running(*swap(web, "sh", "-c", "read x")) as process:
        telepresence.wait_log("stage: process started")
        kubectl("set", "env", "-n", web, "deployment/web", "EDITED=yes")
        _, err = process.communicate("\n", timeout=60)
    assert process.returncode == 0, err
    until_ready(web, "deployment/web")
    found = get(web, "deployment/web")
    assert found["spec"]["replicas"] == 1
    assert "labels" not in found["metadata"]
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "EDITED", "value": "yes"}]


@pytest.mark.parametrize("ahead", ["+2h", "-90s"])  # a lease's 60 s, and a certificate's begin
def test_a_clock_that_is_wrong_decides_nothing(
    telepresence: Telepresence, web: str, ahead: str
) -> None:
    """Neither the holder's nor that of who wants to have it: only the API server's counts."""
    second = Telepresence(telepresence.directory / "second")
    second.directory.mkdir()

    fakes = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not fakes:
        pytest.skip("this machine has no libfaketime: setup/packages.txt names it")

    def skewed(one: Telepresence, *words: str) -> list[str]:
        return ["env", f"LD_PRELOAD={fakes[0]}", f"FAKETIME={ahead}", *one.argv(*words)]

    def refused(argv: list[str]) -> None:
        done = subprocess.run(
            argv, cwd=second.directory, env=second.environ(None), capture_output=True, text=True,
            timeout=60, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 255
        assert "is swapped by" in done.stderr

    before = state(web)
    for holder, other in ((skewed, Telepresence.argv), (Telepresence.argv, skewed)):
        with subprocess.Popen(
            holder(telepresence, *swap(web, "sleep", "60")), cwd=telepresence.directory,
            env=telepresence.environ(None), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            telepresence.log.unlink(missing_ok=True)
            telepresence.wait_log("stage: process started")
            refused(other(second, *swap(web, "true")))
            assert "live" in second("status", "--namespace", web).out
            process.terminate()
        until_state(web, before)


VARIABLES = 7000  # as a thousand Services give each pod


def test_the_environment_of_a_thousand_containers(
    telepresence: Telepresence, namespace: str
) -> None:
    data = {f"SERVICE_{n:04}_PORT_80_TCP_ADDR": f"10.96.{n // 256}.{n % 256}/{n * 'x'}"[:60]
            for n in range(VARIABLES)}  # fmt: skip
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "much"}, "data": data}
    kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(config))
    made = workload("web", replicas=1)
    (container,) = made["spec"]["template"]["spec"]["containers"]
    container["envFrom"] = [{"configMapRef": {"name": "much"}}]
    apply(namespace, made)
    until_ready(namespace, "deployment/web")
    look = "import json, os; print(json.dumps(dict(os.environ)))"
    words = swap(namespace, sys.executable, "-c", look)
    done = telepresence("--env-json", "seen.json", *words)
    assert done.code == 0, done.err
    for seen in (done.out, (telepresence.directory / "seen.json").read_text()):
        assert json.loads(seen).items() >= data.items()


MEMORY = Path("/sys/fs/cgroup/memory")
EATER = """
import time
open("/proc/self/oom_score_adj", "w").write("0")
food = []
while True:
    food.append(bytearray(1 << 20))
    time.sleep(0.001)
"""


@pytest.fixture
def small_machine() -> Iterator[Path]:
    """A cgroup with little memory: cgroups(7), version 1."""
    if os.geteuid() != 0 or not (MEMORY / "memory.limit_in_bytes").exists():
        pytest.skip("no memory cgroup can be made here: that takes root and cgroups of version 1")
    group = MEMORY / f"telepresence-test-{os.getpid()}"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(str(300 << 20))
    yield group
    until(lambda: not (group / "cgroup.procs").read_text(), 20.0)
    group.rmdir()


def test_the_kernel_kills_it_for_want_of_memory(
    telepresence: Telepresence, web: str, small_machine: Path
) -> None:
    before = state(web)
    argv = telepresence.argv(*swap(web, sys.executable, "-c", EATER))
    inside = ["sh", "-c", 'echo $$ > "$0/cgroup.procs"; exec "$@"', str(small_machine), *argv]
    with subprocess.Popen(
        inside, cwd=telepresence.directory, env=telepresence.environ(None),
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        telepresence.wait_log("created pod")
        Path(f"/proc/{process.pid}/oom_score_adj").write_text("1000")  # it, before its command
        assert process.wait(60) == -signal.SIGKILL
    assert "oom_kill 0" not in (small_machine / "memory.oom_control").read_text()
    until(lambda: not telepresence.journals(), 20.0)
    until_state(web, before)


def test_a_pod_that_is_deleted_while_it_starts(telepresence: Telepresence, web: str) -> None:
    before = state(web)
    with telepresence.running(*swap(web, "sleep", "60")) as process:
        said = telepresence.wait_log("created pod ")
        name = said.split("created pod ")[1].split()[0]
        kubectl("delete", "pod", "-n", web, name, "--now", "--wait=false")
        _, err = process.communicate(timeout=60)
    assert process.returncode == 255
    assert name in err
    until_state(web, before)


def test_many_changes_at_once_do_not_keep_it_from_giving_back(
    telepresence: Telepresence, web: str
) -> None:
    """Somebody writes to the workload again and again while it is claimed and given back."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            kubectl("annotate", "-n", web, "deployment/web", f"n={number}", "--overwrite")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = telepresence(*swap(web, "true"))
    finally:
        stop.set()
        writer.join()
    assert done.code == 0, done.err
    assert "left behind" not in done.err
    assert get(web, "deployment/web")["spec"]["replicas"] == 1
