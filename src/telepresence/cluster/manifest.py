"""The proxy pod as Kubernetes wants it: a Plan in, an object out.

Called by: cluster/proxy.py.
Owns: nothing.
Never: touches the cluster; asks for a privilege (it passes PodSecurity "restricted").
"""

import hashlib

from telepresence.cluster.api import Json
from telepresence.values import Plan

CONTAINER = "telepresence"
LABEL = "telepresence"
CARRIER_PORT = 9040  # telepresence.agent.serve's, which the laptop does not import


def proxy_pod(plan: Plan) -> Json:
    """The Pod of a new deployment.  Only the digest of the session's secret is in it."""
    container: Json = {
        "name": CONTAINER,
        "image": plan.image,
        "imagePullPolicy": "IfNotPresent",
        "args": [
            f"--session={plan.session.hex()}",
            f"--secret-sha256={hashlib.sha256(plan.secret).hexdigest()}",
            f"--resume-timeout={plan.resume_timeout_s:g}",
        ],
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
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": plan.pod_name,
            "namespace": plan.namespace,
            "labels": {LABEL: plan.session.hex()},
        },
        "spec": {
            "containers": [container],
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 2,  # the agent ends at once; this is for its death
        },
    }
