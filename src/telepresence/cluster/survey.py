"""Find what sessions have in a namespace, or in all, and give back what dead ones left.

Called by: tasks.
Owns: nothing.
Never: touches what belongs to a session that lives.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from telepresence.cluster import giveback
from telepresence.cluster.api import Api, ApiError, Json
from telepresence.cluster.lease import WORKLOAD, give_back_lease, is_alive
from telepresence.cluster.manifest import BY, LABEL, SINCE
from telepresence.cluster.workload import KINDS
from telepresence.cluster.workload.kind import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Something of a session in the cluster."""

    namespace: str
    what: str  # "Deployment web", "pod quickstart"
    by: str
    since: str
    is_alive: bool
    item: Json


def _place(api: Api, prefix: str, plural: str, *, everywhere: bool) -> str:
    return f"{prefix}/{plural}" if everywhere else f"{prefix}/namespaces/{api.namespace}/{plural}"


async def _labelled(api: Api, prefix: str, plural: str, *, everywhere: bool) -> list[Json]:
    """Empty where there is no such kind.  ApiError: it may not be listed."""
    path = _place(api, prefix, plural, everywhere=everywhere)
    try:
        items: list[Json] = (await api.request("GET", path, labelSelector=LABEL))["items"]
    except ApiError as exc:
        if exc.status == 404:
            return []
        raise
    return items


def _name_of(path: str) -> str:
    plural, name = path.rsplit("/", 2)[1:]
    kind = next((kind.name for kind in KINDS if kind.plural == plural), plural)
    return f"{kind} {name}"


async def leases(api: Api, *, everywhere: bool) -> list[Seen]:
    """A swapped workload each."""
    found = await _labelled(api, "/apis/coordination.k8s.io/v1", "leases", everywhere=everywhere)
    return [
        Seen(
            namespace=lease["metadata"]["namespace"],
            what=_name_of(lease["metadata"]["annotations"][WORKLOAD]),
            by=lease["spec"]["holderIdentity"],
            since=lease["metadata"]["annotations"][SINCE],
            is_alive=is_alive(lease, api.now()),
            item=lease,
        )
        for lease in found
    ]


async def pods(api: Api, *, everywhere: bool) -> list[Seen]:
    """Those of new deployments; a stand-in goes with its lease.  The agent ends itself when its
    client has been gone for long."""
    found = await _labelled(api, "/api/v1", "pods", everywhere=everywhere)
    return [
        Seen(
            namespace=pod["metadata"]["namespace"],
            what=f"pod {pod['metadata']['name']}",
            by=pod["metadata"].get("annotations", {}).get(BY, "?"),
            since=pod["metadata"].get("annotations", {}).get(SINCE, "?"),
            is_alive=pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"),
            item=pod,
        )
        for pod in found
        if not pod["metadata"].get("ownerReferences")
    ]


async def _ownerless(api: Api, kind: Kind, *, everywhere: bool) -> list[Json]:
    try:
        return await _labelled(
            api, f"/apis/{kind.group}/{kind.version}", kind.plural, everywhere=everywhere
        )
    except ApiError as exc:
        if exc.status == 403:  # the user has none of that kind to give back
            return []
        raise


async def give_back(api: Api, *, everywhere: bool) -> AsyncIterator[str]:
    """Undo what dead sessions left; yields each in words when it is done."""
    swapped = await leases(api, everywhere=everywhere)
    for seen in swapped:
        if not seen.is_alive:
            await give_back_lease(api, seen.item)
            yield f"{seen.what} in namespace {seen.namespace}, swapped by {seen.by}"
    minded = {seen.item["metadata"]["labels"][LABEL] for seen in swapped if seen.is_alive}
    for kind in KINDS:
        for found in await _ownerless(api, kind, everywhere=everywhere):
            meta = found["metadata"]
            session = meta["labels"][LABEL]
            path = kind.path(meta["namespace"], meta["name"])
            if session not in minded and await giveback.scale_back(api, path, session) is not None:
                yield f"{kind.name} {meta['name']} in namespace {meta['namespace']}"
    for seen in await pods(api, everywhere=everywhere):
        if not seen.is_alive:
            meta = seen.item["metadata"]
            for plural in ("pods", "services"):
                path = f"/api/v1/namespaces/{seen.namespace}/{plural}/{meta['name']}"
                await giveback.remove(api, path, meta["labels"][LABEL])
            yield f"{seen.what} in namespace {seen.namespace}, made by {seen.by}"
