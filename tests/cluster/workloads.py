"""Workloads of a test's own, in its namespace.

Called by: the tests of the operations.
Owns: nothing; they go with the namespace.
Never: waits longer than DEADLINE_S.
"""

import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from rig import DEADLINE_S, kubectl, objects

IMAGE = "localhost/sandbox-base:1"
Json = dict[str, Any]


@contextlib.contextmanager
def made_namespace() -> Iterator[str]:
    """A namespace of one's own, with its default service account."""
    name = f"test-{os.getpid()}-{time.monotonic_ns() % 10**9}"
    kubectl("create", "namespace", name)
    try:
        until(lambda: bool(objects("serviceaccounts", "-n", name)))
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


def pod_template(name: str, **container: Any) -> Json:
    main = {
        "name": "app", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-m", "http.server", "8080"], **container,
    }  # fmt: skip
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [main]},
    }


def workload(name: str, kind: str = "Deployment", replicas: int = 2, **more: Any) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": pod_template(name),
            **({"serviceName": name, "podManagementPolicy": "Parallel"}
               if kind == "StatefulSet" else {}),
            **more,
        },
    }  # fmt: skip


def apply(namespace: str, *items: Json) -> None:
    body = {"apiVersion": "v1", "kind": "List", "items": list(items)}
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(body))


def make_asker(namespace: str) -> None:
    """A pod of the cluster that asks."""
    pod = pod_template("asker", command=["sleep", "1000"])
    body: Json = {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": {"name": "asker"}}
    apply(namespace, body)
    kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/asker")


def asked(namespace: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command in that pod."""
    command = ["kubectl", "exec", "-n", namespace, "asker", "--", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def get(namespace: str, what: str) -> Json:
    found: Json = json.loads(kubectl("get", "-n", namespace, what, "-o", "json"))
    return found


def until(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, condition
        threading.Event().wait(0.05)


def until_ready(namespace: str, what: str) -> None:
    def ready() -> bool:
        found = get(namespace, what)
        return bool(found["status"].get("readyReplicas", 0) == found["spec"]["replicas"])

    until(ready)


def until_state(namespace: str, before: Json, deadline_s: float = 20.0) -> None:
    deadline = time.monotonic() + deadline_s
    while (now := state(namespace)) != before:
        assert time.monotonic() < deadline, {
            key: (before.get(key), now.get(key))
            for key in before.keys() | now.keys()
            if before.get(key) != now.get(key)
        }
        threading.Event().wait(0.05)


def state(namespace: str) -> Json:
    """What a session may have changed, without what the cluster counts and dates itself."""
    kinds = "deployments,statefulsets,replicasets,services,leases,pods,configmaps,secrets"
    items = json.loads(kubectl("get", "-n", namespace, kinds, "-o", "json"))["items"]
    seen = {}
    for item in items:
        meta, owned = item["metadata"], item["metadata"].get("ownerReferences")
        if item["kind"] == "Pod" and owned:  # made anew: what matters is of what, and how many
            key = f"Pod of {owned[0]['kind']} {owned[0]['name']}"
            seen[key] = seen.get(key, 0) + ("deletionTimestamp" not in meta)
            continue
        meta = {key: meta.get(key) for key in ("name", "labels", "annotations", "ownerReferences")}
        if notes := meta["annotations"]:
            meta["annotations"] = {k: v for k, v in notes.items() if "revision" not in k}
        seen[f"{item['kind']} {meta['name']}"] = (meta, item.get("spec"), item.get("data"))
    return {key: value for key, value in seen.items() if value != 0}
