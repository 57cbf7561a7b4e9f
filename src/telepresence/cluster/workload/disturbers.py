"""Who else has a say in a workload's replicas: autoscalers, GitOps controllers, budgets.

Called by: cluster/workload, before anything is changed; cluster/claim.py, to give back.
Owns: the words that the user gets about each.
Never: changes any of them; refuses (a swap beside them works, the user has to know).
"""

import asyncio
from typing import Any

from telepresence.cluster.api import Api, ApiError, Json
from telepresence.cluster.workload.kind import Kind

# Marks that GitOps controllers leave on what they manage, and how each is told to wait.
_MARKS = (
    ("argocd.argoproj.io/tracking-id", "Argo CD", "switch off the application's self-heal"),
    ("argocd.argoproj.io/instance", "Argo CD", "switch off the application's self-heal"),
    ("kustomize.toolkit.fluxcd.io/name", "Flux", "flux suspend kustomization NAME"),
    ("helm.toolkit.fluxcd.io/name", "Flux", "flux suspend helmrelease NAME"),
    ("fluxcd.io/sync-checksum", "Flux", "fluxctl lock"),
)


async def _listed(api: Api, path: str) -> list[Json]:
    """Empty when there is no such API, or when the user may not look: it is a courtesy."""
    try:
        items: list[Json] = (await api.request("GET", path))["items"]
    except ApiError:
        return []
    return items


async def autoscaler(api: Api, kind: str, name: str) -> Json | None:
    """The HorizontalPodAutoscaler of a workload."""
    path = f"/apis/autoscaling/v1/namespaces/{api.namespace}/horizontalpodautoscalers"
    for scaler in await _listed(api, path):
        target = scaler["spec"]["scaleTargetRef"]
        if (target["kind"], target["name"]) == (kind, name):
            return scaler
    return None


def bounded(replicas: int, scaler: Json | None) -> int:
    """What an autoscaler would make of a count; it leaves 0 alone."""
    if scaler is None or replicas == 0:
        return replicas
    low = scaler["spec"].get("minReplicas") or 1
    return max(int(low), min(replicas, int(scaler["spec"]["maxReplicas"])))


def _fits(selector: Json, labels: dict[str, Any]) -> bool:
    wanted = selector.get("matchLabels", {})
    return bool(wanted) and wanted.items() <= labels.items()


def gitops_hints(kind: str, found: Json) -> list[str]:
    """One line for each controller that left its mark."""
    meta = found["metadata"]
    marks = {**meta.get("labels", {}), **meta.get("annotations", {})}
    said = {}
    for mark, who, pause in _MARKS:
        if mark in marks:
            said[who] = (
                f"{kind} {meta['name']} is kept by {who} ({mark}={marks[mark]}), which may scale "
                f"it back while it is swapped; to pause it: {pause}"
            )
    return list(said.values())


async def _budgets(api: Api) -> list[Json]:
    """Of whichever version the server has: v1 came with 1.21."""
    place = f"namespaces/{api.namespace}/poddisruptionbudgets"
    return await _listed(api, f"/apis/policy/v1/{place}") or await _listed(
        api, f"/apis/policy/v1beta1/{place}"
    )


async def hints(api: Api, kind: Kind, found: Json) -> tuple[str, ...]:
    """What the user should know before the swap."""
    name = found["metadata"]["name"]
    scaler, limits = await asyncio.gather(autoscaler(api, kind.name, name), _budgets(api))
    said = gitops_hints(kind.name, found)
    if scaler is not None:
        said.append(
            f"the autoscaler {scaler['metadata']['name']} pauses while {kind.name} {name} is at 0"
        )
    labels = found["spec"]["template"].get("metadata", {}).get("labels", {})
    said.extend(
        f"PodDisruptionBudget {budget['metadata']['name']} does not hold back a scaling to 0"
        for budget in limits
        if _fits(budget["spec"].get("selector") or {}, labels)
    )
    return tuple(said)
