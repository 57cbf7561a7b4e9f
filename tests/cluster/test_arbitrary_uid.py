"""Where nobody chooses the user of a pod: a number that no /etc/passwd knows, as on OpenShift."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig import Telepresence, kubectl, objects
from scc import UID, constrained
from test_ports import SERVER, free_port
from workloads import apply, pod_template, state, until, until_ready, until_state, workload

INJECT = ("-m", "inject-tcp")
NUMBERS = "import os; print(os.getuid(), os.geteuid(), sorted(os.getgroups()))"


@pytest.fixture
def project(namespace: str, tmp_path: Path) -> Iterator[str]:
    if [node["metadata"]["name"] for node in objects("nodes")] != ["sandbox"]:
        pytest.skip("only the sandbox's API server is on this machine, where it finds the webhook")
    with constrained(namespace, tmp_path):
        # A server takes up a new webhook within a second.
        probe = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"},
                 "spec": pod_template("probe")["spec"]}  # fmt: skip

        def is_heard() -> bool:
            said = kubectl("create", "-n", namespace, "--dry-run=server", "-o", "json", "-f", "-",
                           stdin=json.dumps(probe))  # fmt: skip
            return bool(json.loads(said)["spec"]["securityContext"].get("fsGroup") == UID)

        until(is_heard)
        yield namespace


def users_of(namespace: str, pod: str, container: str) -> str:
    look = ("exec", "-n", namespace, pod, "-c", container, "--", "/usr/bin/python3.11", "-c")
    return kubectl(*look, NUMBERS).strip()


def test_a_new_pod_runs_as_the_namespaces_user(telepresence: Telepresence, project: str) -> None:
    """Names, the environment, files and exposed ports."""
    port = free_port()
    script = (
        "curl -sS helloworld.default | cut -c1-5; echo $KUBERNETES_SERVICE_PORT; "
        "cat $TELEPRESENCE_ROOT/var/run/secrets/kubernetes.io/serviceaccount/namespace; echo; "
        f"exec {sys.executable} -c '{SERVER}' {port} 127.0.0.1"
    )
    words = ("--namespace", project, "-n", "t-uid", "--expose", f"{port}:8080")
    with telepresence.running(*INJECT, *words, "--run", "sh", "-c", script) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().strip() for _ in range(3)]
        assert said == ["Hello", "443", project]
        assert users_of(project, "t-uid", "telepresence") == f"{UID} {UID} [0, {UID}]"
        asked = (
            "exec", "-n", "default", "deployment/bench", "--", "curl", "-sS", "-m", "5",
            "--retry", "5", "--retry-connrefused", f"http://t-uid.{project}:8080/x",
        )  # fmt: skip
        assert kubectl(*asked) == "laptop /x"


def test_a_stand_in_writes_to_its_volumes_as_the_namespaces_user(
    telepresence: Telepresence, project: str
) -> None:
    made = workload("web", replicas=1)
    spec = made["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "data", "emptyDir": {}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    apply(project, made)
    until_ready(project, "deployment/web")
    before = state(project)
    look = "import os; seen = os.stat('/data/file'); print(seen.st_uid, seen.st_gid)"
    script = f"""
cd $TELEPRESENCE_ROOT/data && echo written > file && cat file
pod=$(kubectl get pods -n {project} -l telepresence -o name)
kubectl exec -n {project} $pod -c app -- /usr/bin/python3.11 -c "{look}"
"""
    done = telepresence(
        *INJECT, "--namespace", project, "-s", "web", "--run", "sh", "-c", script,
    )  # fmt: skip
    assert done.out.splitlines() == ["written", f"{UID} {UID}"], done.err
    until_state(project, before)


def test_a_user_of_ones_own_is_refused_in_the_clusters_words(
    telepresence: Telepresence, project: str
) -> None:
    """Ports below 1024 would take root there, where the server knows no sysctl for them."""
    made = workload("web", replicas=0)
    made["spec"]["template"]["spec"]["containers"][0]["securityContext"] = {"runAsUser": 0}
    apply(project, made)
    before, began = state(project), time.monotonic()
    done = telepresence(*INJECT, "--namespace", project, "-s", "web", "--run", "true")
    assert done.code == 255
    assert "security context constraint" in done.said[0]
    assert time.monotonic() - began < 10
    until_state(project, before)
