"""StatefulSets: the pod that stands in is number 0, with its name and its volumes.

Called by: cluster/workload.
Owns: nothing.
Never: asks the cluster.
"""

from telepresence.cluster.api import Json
from telepresence.cluster.workload.kind import Kind


class StatefulSet(Kind):
    def template(self, found: Json) -> Json:
        """Kubernetes, "StatefulSets": pod N is NAME-N in the headless Service and mounts the
        claims TEMPLATE-NAME-N."""
        template = super().template(found)
        first = f"{found['metadata']['name']}-{found['spec'].get('ordinals', {}).get('start', 0)}"
        spec = template["spec"]
        spec.setdefault("hostname", first)
        if found["spec"].get("serviceName"):
            spec.setdefault("subdomain", found["spec"]["serviceName"])
        claims = [
            claim["metadata"]["name"] for claim in found["spec"].get("volumeClaimTemplates", [])
        ]
        volumes = [volume for volume in spec.get("volumes", []) if volume["name"] not in claims]
        volumes += [
            {"name": name, "persistentVolumeClaim": {"claimName": f"{name}-{first}"}}
            for name in claims
        ]
        if volumes:
            spec["volumes"] = volumes
        return template


KIND = StatefulSet(2, "StatefulSet", "apps", "v1", "statefulsets", "sts")
