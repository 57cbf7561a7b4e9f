"""ReplicaSets that stand alone; a Deployment's would be scaled back by it at once.

Called by: cluster/workload.
Owns: nothing.
Never: asks the cluster.
"""

from telepresence.cluster.api import Json
from telepresence.cluster.workload.kind import Kind, controller
from telepresence.errors import UsageError


class ReplicaSet(Kind):
    def refuse(self, found: Json) -> None:
        owner = controller(found)
        if owner is not None:
            name = found["metadata"]["name"]
            raise UsageError(
                f"ReplicaSet {name} belongs to {owner['kind']} {owner['name']}",
                hint=f"--swap-deployment {owner['name']} is what you want",
            )


KIND = ReplicaSet(3, "ReplicaSet", "apps", "v1", "replicasets", "rs")
