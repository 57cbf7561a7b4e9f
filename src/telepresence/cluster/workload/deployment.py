"""Deployments: their pods belong to one ReplicaSet for each version of the template.

Called by: cluster/workload.
Owns: nothing.
Never: asks the cluster.
"""

from telepresence.cluster.api import Json
from telepresence.cluster.workload.kind import Kind, controller
from telepresence.values import Workload


class Deployment(Kind):
    def owns(self, workload: Workload, pod: Json) -> bool:
        """A ReplicaSet's name is its Deployment's and the hash that its pods are labelled with."""
        owner, labels = controller(pod), pod["metadata"].get("labels", {})
        name = f"{workload.name}-{labels.get('pod-template-hash')}"
        return owner is not None and (owner["kind"], owner["name"]) == ("ReplicaSet", name)


KIND = Deployment(1, "Deployment", "apps", "v1", "deployments", "deploy")
