"""Undo in the cluster what a session did: the same steps for the session, its guard and others.

Called by: cluster/{proxy,lease,claim}.py and recovery.
Owns: the labels that a swapped workload carries.
Never: removes what is another session's; minds what is gone already.
"""

import logging

from telepresence.cluster.api import Api, ApiError, Json
from telepresence.cluster.manifest import LABEL
from telepresence.cluster.workload.disturbers import autoscaler, bounded
from telepresence.errors import ClusterError

log = logging.getLogger(__name__)

# Beside LABEL on a swapped workload: how many it had.  Labels and not annotations, which the
# Deployment controller copies to every ReplicaSet and never takes away again.
REPLICAS = "telepresence.io/replicas"
MANAGER = "telepresence"  # of the fields that we write: Kubernetes, "Server-Side Apply"
_TRIES = 5  # a controller writes the workload's status now and then, in between


async def get(api: Api, path: str) -> Json | None:
    """None: it is gone."""
    try:
        return await api.request("GET", path)
    except ApiError as exc:
        if exc.status == 404:
            return None
        raise


async def remove(api: Api, path: str, session: str, *, grace_s: int | None = None) -> bool:
    """Delete an object of this session; False: there is none, or it is another's."""
    found = await get(api, path)
    if found is None or found["metadata"].get("labels", {}).get(LABEL) != session:
        return False
    body: Json = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": found["metadata"]["uid"]},
    }
    if grace_s is not None:
        body["gracePeriodSeconds"] = grace_s
    try:
        await api.request("DELETE", path, body)
    except ApiError as exc:
        if exc.status not in (404, 409):  # 409: another of that name by now
            raise
    log.info("removed %s", path)
    return True


def note(session: str, replicas: int) -> Json:
    """The labels of a workload that this session swaps."""
    return {LABEL: session, REPLICAS: str(replicas)}


def note_of(found: Json) -> tuple[str, int] | None:
    """Session and replicas that stand on a workload."""
    labels = found["metadata"].get("labels", {})
    count = labels.get(REPLICAS, "")
    return (labels.get(LABEL, ""), int(count)) if count.isdecimal() else None


async def patch_unchanged(api: Api, path: str, found: Json, change: Json) -> Json | None:
    """Merge a change into an object that is still as it was read; None: it is not."""
    meta = {**change.get("metadata", {}), "resourceVersion": found["metadata"]["resourceVersion"]}
    try:
        return await api.request("PATCH", path, {**change, "metadata": meta}, fieldManager=MANAGER)
    except ApiError as exc:
        if exc.status == 409:
            return None
        raise


async def scale_back(api: Api, path: str, session: str) -> int | None:
    """Give a workload the replicas that it would have now; None when it is not ours to do so.

    What somebody scaled or deleted meanwhile stays as it is, and an autoscaler's bounds hold."""
    for _ in range(_TRIES):
        found = await get(api, path)
        noted = found and note_of(found)
        if not found or not noted or noted[0] != session:
            return None
        change: Json = {"metadata": {"labels": {LABEL: None, REPLICAS: None}}}
        count = found["spec"].get("replicas", 1)
        if count == 0:
            scaler = await autoscaler(api, found["kind"], found["metadata"]["name"])
            count = bounded(noted[1], scaler)
            change["spec"] = {"replicas": count}
        if await patch_unchanged(api, path, found, change) is not None:
            log.info("%s has its %d replicas back", path, count)
            return int(count)
    raise ClusterError(f"{path} changes too fast to be given back: {_TRIES} tries")
