"""DeploymentConfigs of OpenShift: looked up first, as Telepresence 1 did.

Called by: cluster/workload.
Owns: nothing.
Never: asks the cluster.
"""

from telepresence.cluster.api import Json
from telepresence.cluster.workload.kind import Kind, controller
from telepresence.values import Workload


class DeploymentConfig(Kind):
    def selector(self, found: Json) -> str:
        """A plain map; without one the template's labels are meant (OpenShift, "Deployments")."""
        labels = found["spec"].get("selector")
        if not labels:
            labels = found["spec"]["template"].get("metadata", {}).get("labels", {})
        return ",".join(f"{key}={value}" for key, value in labels.items())

    def owns(self, workload: Workload, pod: Json) -> bool:
        """Its pods belong to a ReplicationController NAME-1, NAME-2 ... and say of which config."""
        owner, notes = controller(pod), pod["metadata"].get("annotations", {})
        named = notes.get("openshift.io/deployment-config.name")
        return owner is not None and (owner["uid"] == workload.uid or named == workload.name)


KIND = DeploymentConfig(0, "DeploymentConfig", "apps.openshift.io", "v1", "deploymentconfigs", "dc")
