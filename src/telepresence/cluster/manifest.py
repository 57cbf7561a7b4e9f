"""The proxy pod of a new deployment as Kubernetes wants it: a Plan in, an object out.

Called by: cluster/proxy.py; cluster/standin.py for what all proxy pods have in common.
Owns: nothing.
Never: touches the cluster; asks for a privilege (it passes PodSecurity "restricted").
"""

import hashlib

from telepresence.cluster.api import Json
from telepresence.values import Plan

LABEL = "telepresence"
BY, SINCE = "telepresence.io/by", "telepresence.io/since"  # annotations, for whoever finds the pod
READY_PORT = 9041  # telepresence.agent.services'
LOW_PORTS = "net.ipv4.ip_unprivileged_port_start"
CARRIER_PORT = 9040  # telepresence.agent.serve's, which the laptop does not import


def agent_args(plan: Plan) -> list[str]:
    """Only the digest of the session's secret is in it."""
    return [
        f"--session={plan.session.hex()}",
        f"--secret-sha256={hashlib.sha256(plan.secret).hexdigest()}",
        f"--resume-timeout={plan.resume_timeout_s:g}",
    ]


def notes(plan: Plan) -> dict[str, str]:
    """The annotations of whatever the session makes."""
    return {BY: plan.user, SINCE: plan.since}


def probe(plan: Plan) -> Json:
    """The agent hands the question on to the laptop, which is ready or not."""
    if not plan.ready_when_listening:
        return {}
    asked = {"httpGet": {"port": READY_PORT, "path": "/ready"}}
    # Time enough for a carrier to be renewed in between.
    often = {"periodSeconds": 1, "timeoutSeconds": 3, "failureThreshold": 1}
    return {"readinessProbe": {**asked, **often}}


def allow_low_ports(plan: Plan, spec: Json, container: Json) -> None:
    """Let the agent listen below 1024: by the namespace's own setting where that is allowed, else
    as root with that one capability.  Kubernetes, "Using sysctls", "Safe and Unsafe Sysctls"."""
    if plan.low_ports == "sysctl":
        context = spec.setdefault("securityContext", {})
        others = [one for one in context.get("sysctls", []) if one["name"] != LOW_PORTS]
        context["sysctls"] = [*others, {"name": LOW_PORTS, "value": "0"}]
    elif plan.low_ports == "root":
        context = container.setdefault("securityContext", {})
        context.update(runAsUser=0, runAsNonRoot=False)
        added = context.get("capabilities", {}).get("add", [])
        context["capabilities"] = {"drop": ["ALL"], "add": [*added, "NET_BIND_SERVICE"]}


def service(plan: Plan) -> Json:
    """What gives a new pod its name in the cluster, when ports of it are exposed."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": plan.pod_name,
            "labels": {LABEL: plan.session.hex()},
            "annotations": notes(plan),
        },
        "spec": {
            "selector": {LABEL: plan.session.hex()},
            "ports": [
                {"name": f"port-{port.pod}", "port": port.pod, "targetPort": port.pod}
                for port in plan.expose
            ],
        },
    }


def allow_pull(plan: Plan, spec: Json) -> None:
    """Name the Secrets for the agent's image, beside those that are there."""
    if plan.image_pull_secrets:
        named = [{"name": name} for name in plan.image_pull_secrets]
        there = spec.get("imagePullSecrets") or []
        spec["imagePullSecrets"] = there + [one for one in named if one not in there]


def proxy_pod(plan: Plan) -> Json:
    """The Pod of a new deployment."""
    container: Json = {
        "name": plan.container,
        "image": plan.image,
        "imagePullPolicy": "IfNotPresent",
        "args": agent_args(plan),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        # No CPU limit: throttling a proxy slows the user's program (Telepresence 1, 0.102).
        "resources": {
            "requests": {"cpu": "25m", "memory": "64Mi"},
            "limits": {"memory": "256Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    spec: Json = {
        "containers": [container],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 2,  # the agent ends at once; this is for its death
    }
    if plan.serviceaccount is not None:
        spec["serviceAccountName"] = plan.serviceaccount
    container.update(probe(plan))
    allow_pull(plan, spec)
    allow_low_ports(plan, spec, container)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": plan.pod_name,
            "namespace": plan.namespace,
            "labels": {LABEL: plan.session.hex()},
            "annotations": notes(plan),
        },
        "spec": spec,
    }
