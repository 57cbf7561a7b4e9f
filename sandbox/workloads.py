"""Deploy the workloads of the demo and the tests, and wait until they are Ready.

Called by: cli.  Owns: the objects in workloads/*.yaml.
Never: deletes anything else in the cluster."""

from __future__ import annotations

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import places
from api import Api, ApiRefused
from machine import SandboxError

MANIFESTS = places.SOURCES / "workloads"
GROUPS = {"Deployment": "apis/apps/v1", "StatefulSet": "apis/apps/v1"}
FIELD_MANAGER = "sandbox"
CONNECT_TIMEOUT_S = 1.0  # a thousand times what it takes on one machine


def apply(api: Api) -> None:
    """Server-side apply of every document; the same text again changes nothing."""
    for path in sorted(MANIFESTS.glob("*.yaml")):
        for document in _documents(path):
            url = f"{_url(document)}?fieldManager={FIELD_MANAGER}&force=true"
            api.request("PATCH", url, document, "application/apply-patch+yaml")


def _documents(path: Path) -> list[str]:
    return re.split(r"^---\n", path.read_text(), flags=re.MULTILINE)


def _url(document: str) -> str:
    kind, name = _field("kind", document), _field("  name", document)
    namespace = _field("  namespace", document) or "default"
    plural = kind.lower() if kind.endswith("s") else kind.lower() + "s"
    return f"/{GROUPS.get(kind, 'api/v1')}/namespaces/{namespace}/{plural}/{name}"


def _field(key: str, document: str) -> str:
    """The first such line; the manifests have metadata first."""
    found = re.search(rf"^{key}: (\S+)$", document, re.MULTILINE)
    return found[1] if found else ""


def not_ready(api: Api) -> list[str]:
    """Names of the sandbox's workloads that are missing, short of ready pods, or do not answer.

    The ready pods are what the kubelet last said, perhaps before it was killed: so ask them too."""
    ready = set()
    for plural in ("deployments", "statefulsets"):
        for item in api.get(f"/apis/apps/v1/namespaces/default/{plural}")["items"]:
            status = item["status"]
            wanted = item["spec"]["replicas"]
            current = status.get("observedGeneration") == item["metadata"]["generation"]
            if current and status.get("readyReplicas", 0) >= wanted:
                ready.add(item["metadata"]["name"])
    wanted_names = {path.stem for path in MANIFESTS.glob("*.yaml")} - {"kube-dns"}
    missing = wanted_names - ready
    return sorted(missing) if missing else _not_answering(api)


def _not_answering(api: Api) -> list[str]:
    """Services whose address, or headless ones with a pod whose address, takes no connection."""
    targets = []
    for service in api.get("/api/v1/namespaces/default/services")["items"]:
        name, spec = service["metadata"]["name"], service["spec"]
        port = spec["ports"][0]["port"] if spec.get("ports") else None
        managers = service["metadata"].get("managedFields", [])
        if port is None or FIELD_MANAGER not in {entry["manager"] for entry in managers}:
            continue
        addresses = [spec["clusterIP"]]
        if addresses == ["None"]:
            addresses = _endpoint_addresses(api, name)
        targets += [(name, address, port) for address in addresses]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda target: _connects(*target[1:]), targets))
    return sorted({target[0] for target, good in zip(targets, answers, strict=True) if not good})


def _endpoint_addresses(api: Api, name: str) -> list[str]:
    endpoints = api.get(f"/api/v1/namespaces/default/endpoints/{name}")
    subsets = endpoints.get("subsets") or []
    return [ready["ip"] for subset in subsets for ready in subset.get("addresses") or []]


def _connects(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def wait_ready(api: Api, *, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while missing := _try_not_ready(api):
        if time.monotonic() > deadline:
            raise SandboxError(
                f"not ready within {timeout_s:.0f} s: {', '.join(missing)}; "
                'see `kubectl describe pods` after `eval "$(sandbox/sandbox env)"`'
            )
        time.sleep(0.2)


def _try_not_ready(api: Api) -> list[str]:
    try:
        return not_ready(api)
    except (OSError, ApiRefused) as exc:
        return [str(exc)]
