"""The pod that stands in for a workload: its template, with one container replaced by the agent.

Called by: cluster/proxy.py.
Owns: the list of what of the replaced container is kept.
Never: touches the cluster; drops what decides which volumes can be read (user, groups, SELinux).
"""

import copy
from typing import Any

from telepresence.cluster.api import Json
from telepresence.cluster.manifest import (
    LABEL,
    agent_args,
    allow_low_ports,
    allow_pull,
    notes,
    probe,
)
from telepresence.values import Plan, Workload

# Of no meaning for another program: it is not run as this one was, and answers no probes of its.
_REPLACED = (
    "command", "args", "workingDir", "lifecycle", "livenessProbe", "readinessProbe",
    "startupProbe", "terminationMessagePath",
)  # fmt: skip
MEMORY = "256Mi"  # what the agent may need: the limit of a new deployment's
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18,
          "m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50,
          "Ei": 2**60}  # fmt: skip
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


def _bytes(quantity: object) -> float:
    """Kubernetes, "Quantity": a number with a unit, or in E notation."""
    text = str(quantity)
    number = text.rstrip("kMGTPEmi")
    unit = text[len(number) :]
    if unit in _UNITS:
        return float(number) * float(_UNITS[unit])
    return float(text)


def _roomy(resources: Json) -> Json:
    """The same resources, with memory enough for the agent."""
    limits = resources.get("limits") or {}
    if "memory" in limits and _bytes(limits["memory"]) < _bytes(MEMORY):
        resources = {**resources, "limits": {**limits, "memory": MEMORY}}
    return resources


def _compatible(context: Json) -> Json:
    """A security context that the agent can live in, with the same user and rights on files.

    A profile of the node is made for the other program and may forbid what the agent does."""
    kept = dict(context)
    for profile in ("seccompProfile", "appArmorProfile"):
        if (kept.get(profile) or {}).get("type") == "Localhost":
            kept[profile] = {"type": "RuntimeDefault"}
    return kept


def _agent(plan: Plan, original: Json) -> Json:
    container = {key: value for key, value in original.items() if key not in _REPLACED}
    container.update(
        image=plan.image,
        imagePullPolicy="IfNotPresent",
        args=agent_args(plan),
        terminationMessagePolicy="FallbackToLogsOnError",
    )
    if container.get("resources"):
        container["resources"] = _roomy(container["resources"])
    container.update(probe(plan))
    if container.get("securityContext"):
        container["securityContext"] = _compatible(container["securityContext"])
    return container


def standin_pod(plan: Plan, workload: Workload, owner: Json) -> Json:
    """The Pod.  `owner` controls it, so that no ReplicaSet adopts and deletes a pod that has the
    labels of its own."""
    template = copy.deepcopy(workload.template)
    meta: dict[str, Any] = template.get("metadata") or {}
    spec: Json = template["spec"]
    spec["containers"] = [
        _agent(plan, container) if container["name"] == plan.container else container
        for container in spec["containers"]
    ]
    spec["restartPolicy"] = "Never"
    if spec.get("securityContext"):
        spec["securityContext"] = _compatible(spec["securityContext"])
    if plan.serviceaccount is not None:
        spec.pop("serviceAccount", None)  # the older name, which would win
        spec["serviceAccountName"] = plan.serviceaccount
    agent = next(c for c in spec["containers"] if c["name"] == plan.container)
    allow_pull(plan, spec)
    allow_low_ports(plan, spec, agent)
    annotations = dict(meta.get("annotations") or {})
    annotations.pop(_APPARMOR + plan.container, None)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": plan.pod_name,
            "namespace": plan.namespace,
            "labels": {**(meta.get("labels") or {}), LABEL: plan.session.hex()},
            "annotations": {**annotations, **notes(plan)},
            "ownerReferences": [owner],
        },
        "spec": spec,
    }
