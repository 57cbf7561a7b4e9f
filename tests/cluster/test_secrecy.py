"""Secrets of the pod stay out of log and command lines; what is said at the end is true."""

import json
import stat
import subprocess
import sys
from pathlib import Path

from rig import Telepresence, kubectl, objects
from roles import account
from telepresence import descendants
from workloads import apply, pod_template, state, until, until_ready, until_state, workload

INJECT = ("-m", "inject-tcp")
CRASHED = Path(__file__).with_name("crashed.py")
PLANTED = ("planted-by-key", "planted-by-envfrom", "planted\nin two lines")
SAY_IT = 'echo "$BY_KEY"; echo "the end" >&2; cat'


def with_secrets(namespace: str) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
              "stringData": {"WHOLE": PLANTED[1], "LINES": PLANTED[2],
                             "key": PLANTED[0]}}  # fmt: skip
    reference = {"secretKeyRef": {"name": "s", "key": "key"}}
    web = workload("web", replicas=1)
    web["spec"]["template"] = pod_template(
        "web", env=[{"name": "BY_KEY", "valueFrom": reference}],
        envFrom=[{"secretRef": {"name": "s"}}],
    )  # fmt: skip
    apply(namespace, secret, web)
    until_ready(namespace, "deployment/web")


def readable(pattern: str) -> dict[int, bytes]:
    found = {}
    for place in Path("/proc").glob(f"[0-9]*/{pattern}"):
        try:
            found[int(place.parts[2])] = place.read_bytes()
        except OSError:
            continue
    return found


def test_planted_secrets_are_the_commands_alone(telepresence: Telepresence, namespace: str) -> None:
    with_secrets(namespace)
    words = (*INJECT, "--namespace", namespace, "--verbose", "-s", "web")
    with telepresence.running(*words, "--run", "sh", "-c", SAY_IT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{PLANTED[0]}\n"
        log = telepresence.wait_log("stage: process started")
        session = objects("pods", "-n", namespace, "-l", "telepresence")[0]["metadata"]["labels"]
        mine = descendants.marked(session["telepresence"])
        journal = telepresence.journals()[0].read_text()
        lines = readable("cmdline")
        environs = {pid: data for pid, data in readable("environ").items() if is_here(pid)}
        _, err = process.communicate("", timeout=60)
    log += telepresence.log.read_text()
    for planted in PLANTED:
        data = planted.encode()
        assert planted not in log
        assert planted not in journal
        assert planted not in err
        assert not [pid for pid, line in lines.items() if data in line.replace(b"\0", b" ")]
        holders = {pid for pid, environ in environs.items() if data in environ}
        assert holders <= set(mine)
    assert stat.S_IMODE(telepresence.log.stat().st_mode) == 0o600


def is_here(pid: int) -> bool:
    """Not in one of the sandbox's pods, whose processes are this machine's too."""
    try:
        return Path(f"/proc/{pid}/ns/pid").readlink() == Path("/proc/self/ns/pid").readlink()
    except OSError:
        return False


def test_a_crash_is_told_with_its_object_and_the_logs_place(
    telepresence: Telepresence, namespace: str
) -> None:
    apply(namespace, workload("web", replicas=1))
    until_ready(namespace, "deployment/web")
    before = state(namespace)
    log = telepresence.directory / "elsewhere.log"
    done = subprocess.run(
        [sys.executable, CRASHED, "PATCH", *INJECT, "--namespace", namespace, "-s", "web",
         "--logfile", "elsewhere.log", "--run", "true"],
        cwd=telepresence.directory, env=telepresence.environ(None), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "T: a bug of telepresence" in done.stderr
    place = f"/apis/apps/v1/namespaces/{namespace}/deployments/web"
    assert f"T: it happened with: replicas {place}" in done.stderr
    assert f"with the log: {log}" in done.stderr
    assert "http" not in done.stderr  # no page is offered, and nothing is asked
    assert "Traceback" in log.read_text()
    assert "planted-in-an-error" not in log.read_text()
    until_state(namespace, before)


def test_everything_is_undone_is_not_said_when_something_is_left(
    telepresence: Telepresence, namespace: str
) -> None:
    """The right to delete is taken away meanwhile; when it is back, the guard does it."""
    user = account(telepresence, namespace)
    words = (*INJECT, "--namespace", namespace, "-n", "t-left", "--run", "sleep", "60")
    with telepresence.running(*words, env=user) as process:
        telepresence.wait_log("stage: process started")
        role = json.loads(kubectl("get", "role", "telepresence", "-n", namespace, "-o", "json"))
        without = [{**rule, "verbs": [v for v in rule["verbs"] if v != "delete"]}
                   for rule in role["rules"]]  # fmt: skip
        kubectl("patch", "role", "telepresence", "-n", namespace, "--type=merge",
                "-p", json.dumps({"rules": without}))  # fmt: skip
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert "everything is undone" not in err
    assert "left behind: " in err
    assert "pods/t-left" in err
    assert telepresence.journals()
    kubectl("patch", "role", "telepresence", "-n", namespace, "--type=merge",
            "-p", json.dumps({"rules": role["rules"]}))  # fmt: skip
    until(lambda: not telepresence.journals(), 40.0)
    until(lambda: not objects("pods", "-n", namespace), 20.0)
