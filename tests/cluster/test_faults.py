"""What goes wrong is said in one line, as soon as it can be known, and leaves nothing behind."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

import crashing
from rig import Telepresence, kubectl, objects
from telepresence import cli
from telepresence.rights import rights
from workloads import IMAGE, apply, workload

RUN_TRUE = ("--method", "inject-tcp", "--run", "true")


def one_line(err: str, *words: str) -> None:
    """The first line says it; no traceback follows."""
    first = err.splitlines()[0]
    assert first.startswith("T: ")
    for word in words:
        assert word in first
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--bogus"], "--bogus"),
        (["--names", "x"], "--names"),
        (["positional"], "positional"),
        (["-m", "teleport"], "teleport"),
        (["-n", "No_Name"], "No_Name"),
        (["-n", ""], "no Kubernetes name"),
        (["--context", ""], "empty"),
        (["--ready-timeout", "soon"], "no number of seconds"),
        (["--ready-timeout", "0"], "no number of seconds"),
        (["--run-shell", "--run", "true"], "not allowed"),
        (["--logfile", "/no/such/directory/log", "--run", "true"], "/no/such/directory/log"),
    ],
)
def test_misuse_is_one_line_and_exit_2(
    telepresence: Telepresence, words: list[str], named: str
) -> None:
    done = telepresence(*words)
    assert done.code == 2
    one_line(done.err, named)
    assert done.seconds < 2


def test_a_command_that_is_not_there(telepresence: Telepresence) -> None:
    done = telepresence("--run", "no-such-command-here")
    assert done.code == 255
    one_line(done.err, "no-such-command-here: command not found")
    assert "stage: pod created" not in telepresence.log.read_text()


def test_a_command_that_cannot_be_executed(telepresence: Telepresence) -> None:
    script = telepresence.directory / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    done = telepresence("--run", str(script))
    assert done.code == 255
    one_line(done.err, str(script))


def kubeconfig_of(directory: Path, **changes: object) -> dict[str, str]:
    """A kubeconfig like the real one, but for one cluster's server or the current context."""
    config = json.loads(kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
    if server := changes.get("server"):
        config["clusters"][0]["cluster"]["server"] = server
    if "context" in changes:
        config["current-context"] = changes["context"]
    path = directory / "kubeconfig"
    path.write_text(json.dumps(config))
    return {"KUBECONFIG": str(path)}


def test_no_cluster_answers(telepresence: Telepresence) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    server = f"https://127.0.0.1:{port}"
    done = telepresence(*RUN_TRUE, env=kubeconfig_of(telepresence.directory, server=server))
    assert done.code == 255
    one_line(done.err, server)
    assert done.seconds < 5


def test_no_kubeconfig(telepresence: Telepresence) -> None:
    done = telepresence(*RUN_TRUE, env={"KUBECONFIG": "/no/such/file"})
    assert done.code == 255
    one_line(done.err, "no current context")
    assert "--context" in done.err


def test_no_current_context(telepresence: Telepresence) -> None:
    done = telepresence(*RUN_TRUE, env=kubeconfig_of(telepresence.directory, context=""))
    assert done.code == 255
    one_line(done.err, "no current context")


def test_an_unknown_context_is_told_with_the_known_ones(telepresence: Telepresence) -> None:
    done = telepresence("--context", "moon", *RUN_TRUE)
    assert done.code == 2
    one_line(done.err, "moon")
    assert kubectl("config", "current-context").strip() in done.err


def test_a_namespace_that_is_not_there(telepresence: Telepresence) -> None:
    done = telepresence("--namespace", "no-such-namespace", *RUN_TRUE)
    assert done.code == 255
    one_line(done.err, "namespace no-such-namespace")


def test_missing_rights_are_named_before_anything_is_changed(
    telepresence: Telepresence, namespace: str
) -> None:
    """A service account that may do everything but create pods and forward ports."""
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "delete"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ]
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(role(namespace, rules)))
    account = as_account(telepresence, namespace)
    done = telepresence("--namespace", namespace, *RUN_TRUE, env=account)
    assert done.code == 255
    one_line(done.err, "create pods", "create pods/portforward", namespace)
    assert 'resources: ["pods/portforward"], verbs: ["create"]' in done.err
    assert not objects("pods", "-n", namespace)


def test_exactly_the_rights_that_it_names_are_enough(
    telepresence: Telepresence, namespace: str
) -> None:
    rules = [
        {"apiGroups": [""], "resources": [right.resource], "verbs": [right.verb]}
        for right in rights(cli.parse([]), None)
    ]
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(role(namespace, rules)))
    account = as_account(telepresence, namespace)
    done = telepresence("--namespace", namespace, *RUN_TRUE, env=account)
    assert done.code == 0, done.err


def role(namespace: str, rules: list[dict[str, list[str]]]) -> dict[str, object]:
    """The Role and its binding to the namespace's default service account."""
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
    ref = {"apiGroup": group, "kind": "Role", "name": "tester"}
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": "tester"},
             "rules": rules},
            {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"name": "tester"},
             "subjects": [subject], "roleRef": ref},
        ],
    }  # fmt: skip


def as_account(telepresence: Telepresence, namespace: str) -> dict[str, str]:
    """A kubeconfig whose user is the namespace's default service account."""
    secret = f"{namespace}-token"
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {"name": secret,
                     "annotations": {"kubernetes.io/service-account.name": "default"}},
    }))  # fmt: skip
    kubectl("wait", "-n", namespace, "--for=jsonpath={.data.token}", f"secret/{secret}")
    template = "go-template={{.data.token|base64decode}}"
    token = kubectl("get", "secret", secret, "-n", namespace, "-o", template)
    config = json.loads(kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
    config["users"][0]["user"] = {"token": token}
    path = telepresence.directory / "account"
    path.write_text(json.dumps(config))
    return {"KUBECONFIG": str(path)}


def test_an_image_that_cannot_be_pulled_is_told_when_kubelet_says_it(
    telepresence: Telepresence,
) -> None:
    done = telepresence("--image", "localhost/no-such-image:1", *RUN_TRUE)
    assert done.code == 255
    one_line(done.err, "localhost/no-such-image:1", "cannot be pulled")
    for line in ("kind load docker-image", "minikube image load", "docker push", "--image"):
        assert line in done.err
    assert done.seconds < 20


def test_an_image_name_that_is_none(telepresence: Telepresence) -> None:
    done = telepresence("--image", "UPPER CASE", *RUN_TRUE)
    assert done.code == 255
    one_line(done.err, "UPPER CASE")
    assert done.seconds < 10


@pytest.fixture(scope="session")
def crashing_image() -> str:
    """Only the sandbox lets a test bring an image of its own."""
    if not objects("nodes", "--field-selector=metadata.name=sandbox"):
        pytest.skip("this cluster is not the sandbox: no way to load an image that crashes")
    return crashing.load()


def test_a_pod_that_crashes_is_told_with_its_last_words(
    telepresence: Telepresence, crashing_image: str
) -> None:
    done = telepresence("--image", crashing_image, *RUN_TRUE)
    assert done.code == 255
    one_line(done.err, "pod telepresence-", f"exit code {crashing.CODE}")
    assert crashing.LAST_WORDS in done.err
    assert done.seconds < 5  # bench/session.py measures it against a bare pod's start


def test_a_container_that_may_not_start_is_told(telepresence: Telepresence) -> None:
    """An image that wants to be root, which the pod forbids."""
    done = telepresence("--image", "localhost/sandbox-base:1", *RUN_TRUE)
    assert done.code == 255
    one_line(done.err, "does not start", "runAsNonRoot")
    assert done.seconds < 6


def test_a_pod_that_cannot_be_scheduled(telepresence: Telepresence, namespace: str) -> None:
    """A default request that no node can meet."""
    limits = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"},
              "spec": {"hard": {"pods": "0"}}}  # fmt: skip
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(limits))
    done = telepresence("--namespace", namespace, *RUN_TRUE)
    assert done.code == 255
    one_line(done.err, "quota")
    kubectl("delete", "resourcequota", "none", "-n", namespace)

    (node,) = objects("nodes")
    name = node["metadata"]["name"]
    kubectl("cordon", name)
    try:
        done = telepresence(*RUN_TRUE)
    finally:
        kubectl("uncordon", name)
    assert done.code == 255
    one_line(done.err, "cannot be scheduled", "unschedulable")
    assert done.seconds < 12


def test_a_slow_start_is_told_and_its_limit_is_the_users(
    telepresence: Telepresence, namespace: str
) -> None:
    """An init container that takes its time."""
    made = workload("web", replicas=1)
    slow = {"name": "slow", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
            "command": ["sleep", "8"]}  # fmt: skip
    made["spec"]["template"]["spec"]["initContainers"] = [slow]
    apply(namespace, made)
    words = ("-m", "inject-tcp", "--namespace", namespace, "-s", "web")
    done = telepresence(*words, "--ready-timeout", "6", "--run", "true")
    assert done.code == 255
    unread, waiting, failed, hint = done.said
    assert unread.endswith("(ENV): it runs in no pod of Deployment web")
    assert "still waiting for pod web-" in waiting
    assert waiting.endswith("its init container slow: runs")
    assert "was not ready after 6 s: its init container slow: runs" in failed
    assert "--ready-timeout" in hint
    done = telepresence(*words, "--run", "true")
    assert done.code == 0, done.err


def test_a_name_that_is_taken(telepresence: Telepresence, namespace: str) -> None:
    words = ("--namespace", namespace, "-n", "t-taken")
    with telepresence.running(*words, "--run", "sleep", "60"):
        telepresence.wait_log("started")
        second = Telepresence(telepresence.directory / "second")
        second.directory.mkdir()
        done = second(*words, "--run", "true")
        assert done.code == 255
        one_line(done.err, "t-taken", "exists already")
        assert objects("pods", "-n", namespace), "the first one's pod was taken away"


def test_a_working_directory_that_is_gone(telepresence: Telepresence) -> None:
    gone = telepresence.directory / "gone"
    gone.mkdir()
    script = f"cd {gone} && rmdir {gone} && exec {telepresence.argv()[0]} --run true"
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, env=dict(os.environ), timeout=30
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
