"""What OpenShift has that Kubernetes has not: DeploymentConfigs, oc, and no ports below 1024.

The kind is a custom resource here, and a loop does what OpenShift's controller does: it keeps a
ReplicationController at the replicas that the DeploymentConfig asks for.
"""

import contextlib
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig import Telepresence, kubectl, objects
from workloads import Json, apply, get, pod_template, until, until_ready, workload

INJECT = ("-m", "inject-tcp")
GROUP = "apps.openshift.io"
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"deploymentconfigs.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": "DeploymentConfig", "plural": "deploymentconfigs", "shortNames": ["dc"]},
        "versions": [{
            "name": "v1", "served": True, "storage": True,
            "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas",
                                                     "statusReplicasPath": ".status.replicas"}},
            "schema": {"openAPIV3Schema": {"type": "object",
                                           "x-kubernetes-preserve-unknown-fields": True}},
        }],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def openshift() -> Iterator[None]:
    """The server has OpenShift's APIs, and has not at the end: others would see them."""
    kubectl("apply", "-f", "-", stdin=json.dumps(DEFINITION))
    try:
        name = f"crd/deploymentconfigs.{GROUP}"
        kubectl("wait", "--for=condition=Established", name, "--timeout=30s")
        until(lambda: GROUP in kubectl("get", "--raw", "/apis"))
        yield
    finally:
        kubectl("delete", "crd", f"deploymentconfigs.{GROUP}", "--timeout=50s")
        until(lambda: GROUP not in kubectl("get", "--raw", "/apis"))


def replicas(namespace: str, what: str) -> int:
    return int(kubectl("get", "-n", namespace, what, "-o", "jsonpath={.spec.replicas}"))


@contextlib.contextmanager
def controlled(namespace: str, name: str) -> Iterator[None]:
    """The DeploymentConfig's first ReplicationController has its replicas."""
    over = threading.Event()

    def follow() -> None:
        while not over.wait(0.2):
            with contextlib.suppress(AssertionError, ValueError):  # one of the two is gone
                wanted = replicas(namespace, f"dc/{name}")
                if wanted != replicas(namespace, f"rc/{name}-1"):
                    kubectl("scale", "-n", namespace, f"rc/{name}-1", f"--replicas={wanted}")

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def db(openshift: None, namespace: str) -> Iterator[str]:
    """The namespace, with a DeploymentConfig of two pods, and a Deployment of the same name."""
    template = pod_template("db")
    template["metadata"]["labels"] = {"deploymentconfig": "db"}
    config: Json = {
        "apiVersion": f"{GROUP}/v1", "kind": "DeploymentConfig", "metadata": {"name": "db"},
        "spec": {"replicas": 2, "selector": {"deploymentconfig": "db"}, "template": template,
                 "triggers": [{"type": "ConfigChange"}]},
    }  # fmt: skip
    deployed = json.loads(json.dumps(template))
    deployed["metadata"] = {
        "labels": {"deploymentconfig": "db", "deployment": "db-1"},
        "annotations": {"openshift.io/deployment-config.name": "db"},
    }
    controller = {
        "apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "db-1"},
        "spec": {"replicas": 2, "selector": deployed["metadata"]["labels"], "template": deployed},
    }  # fmt: skip
    apply(namespace, config, controller, workload("db", replicas=1))
    with controlled(namespace, "db"):
        until_ready(namespace, "rc/db-1")
        yield namespace


def test_a_deploymentconfig_is_looked_up_first_and_swapped(
    telepresence: Telepresence, db: str
) -> None:
    before = get(db, "dc/db")
    look = ["kubectl", "get", "-n", db, "dc/db", "deployment/db", "-o",
            "jsonpath={range .items[*]}{.kind} {.spec.replicas}{'\\n'}{end}"]  # fmt: skip
    done = telepresence(*INJECT, "--namespace", db, "-s", "db", "--run", *look)
    assert done.out.splitlines() == ["DeploymentConfig 0", "Deployment 1"], done.err
    now = get(db, "dc/db")
    assert now["spec"] == before["spec"]
    assert now["metadata"].get("labels") == before["metadata"].get("labels")
    until(lambda: get(db, "rc/db-1")["status"].get("readyReplicas") == 2)
    assert not objects("leases", "-n", db)


def test_its_old_pods_are_gone_before_the_command_runs(telepresence: Telepresence, db: str) -> None:
    look = ["kubectl", "get", "pods", "-n", db, "-l", "deployment=db-1", "-o", "name"]
    done = telepresence(*INJECT, "--namespace", db, "-s", "dc/db", "--run", *look)
    assert (done.code, done.out) == (0, ""), done.err


def test_ports_below_1024_are_refused(telepresence: Telepresence, db: str) -> None:
    words = (*INJECT, "--namespace", db, "-s", "db", "--expose", "8080:80", "--run", "true")
    done = telepresence(*words)
    assert done.code == 255
    assert "OpenShift does not support ports below 1024" in done.said[0]
    assert replicas(db, "dc/db") == 2


def test_oc_is_taken_where_the_server_has_openshifts_apis(
    telepresence: Telepresence, db: str, tmp_path: Path
) -> None:
    """Behind a server without TLS, where a program has to forward the port."""
    programs = tmp_path / "bin"
    programs.mkdir()
    real = shutil.which("kubectl")
    for name in ("oc", "kubectl"):
        said = f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/called\nexec {real} "$@"\n'
        (programs / name).write_text(said)
        (programs / name).chmod(0o755)
    with subprocess.Popen(
        ["kubectl", "proxy", "--port=0"], stdout=subprocess.PIPE, text=True
    ) as proxy:
        assert proxy.stdout is not None
        server = f"http://{proxy.stdout.readline().split()[-1]}"
        config = tmp_path / "plain"
        config.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "plain",
            "clusters": [{"name": "c", "cluster": {"server": server}}], "users": [],
            "contexts": [{"name": "plain", "context": {"cluster": "c", "namespace": db}}],
        }))  # fmt: skip
        env = {"PATH": f"{programs}:/usr/bin:/bin", "KUBECONFIG": str(config)}
        done = telepresence(*INJECT, "--run", "curl", "-s", "http://helloworld.default", env=env)
        proxy.terminate()
    assert done.out.startswith("Hello, world!"), done.err
    called = (tmp_path / "called").read_text().splitlines()
    assert called
    assert all(line.startswith("oc ") and "port-forward" in line for line in called), called
