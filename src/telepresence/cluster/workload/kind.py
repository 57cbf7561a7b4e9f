"""What the kinds of workload have in common, and where each may differ.

Called by: the module of each kind.
Owns: nothing.
Never: asks the cluster.
"""

import copy
from dataclasses import dataclass

from telepresence.cluster.api import Json
from telepresence.values import Workload


@dataclass(frozen=True)
class Kind:
    """A kind whose pods come from `spec.template`, as many as `spec.replicas` says."""

    order: int  # a bare name is looked up in the lowest first
    name: str
    group: str
    version: str
    plural: str
    short: str

    def path(self, namespace: str, name: str) -> str:
        return f"/apis/{self.group}/{self.version}/namespaces/{namespace}/{self.plural}/{name}"

    def refuse(self, found: Json) -> None:
        """UsageError when swapping this one would not do what is wanted."""

    def replicas(self, found: Json) -> int:
        """Kubernetes' default is 1."""
        count = found["spec"].get("replicas")
        return 1 if count is None else int(count)

    def template(self, found: Json) -> Json:
        """What one of its pods is made from."""
        return dict(copy.deepcopy(found["spec"]["template"]))

    def selector(self, found: Json) -> str:
        """Kubernetes, "Labels and Selectors": a LabelSelector as the query of a list."""
        selector = found["spec"].get("selector") or {}
        terms = [f"{key}={value}" for key, value in selector.get("matchLabels", {}).items()]
        for term in selector.get("matchExpressions", []):
            key, values = term["key"], ",".join(term.get("values", []))
            words = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})",
                     "Exists": key, "DoesNotExist": f"!{key}"}  # fmt: skip
            terms.append(words[term["operator"]])
        return ",".join(terms)

    def owns(self, workload: Workload, pod: Json) -> bool:
        """Whether a pod that the selector fits is really one of the workload's."""
        owner = controller(pod)
        return owner is not None and owner["uid"] == workload.uid


def controller(item: Json) -> Json | None:
    """The one that made it and would make it again."""
    for owner in item["metadata"].get("ownerReferences", []):
        if owner.get("controller"):
            return dict(owner)
    return None
