"""Take a workload's place: scaled to 0 and noted on it in one request, given back at the end.

Called by: session.
Owns: the workload's replicas and its note, and the watch on both, until the context ends.
Never: fights whoever scales it back; says so.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from telepresence.cluster import giveback
from telepresence.cluster.api import Api, ApiError, Json
from telepresence.cluster.manifest import LABEL
from telepresence.cluster.workload import kind_named
from telepresence.errors import ClusterError
from telepresence.values import Plan, Workload

log = logging.getLogger(__name__)

_TRIES = 5
GRACE_S = 30.0  # beyond the pods' own: kubelet's work, and a slow API server's
REWATCH_PAUSE_S = 1.0


class Claim:
    """async with Claim(api, plan, workload, console.say) as claim: await claim.alone()"""

    def __init__(
        self, api: Api, plan: Plan, workload: Workload, say: Callable[[str], None]
    ) -> None:
        self._api, self._plan, self._workload, self._say = api, plan, workload, say
        self._kind = kind_named(workload.kind)
        self._watcher: asyncio.Task[None] | None = None
        self._alone: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Claim":
        taken = await self._take()
        log.info("scaled %s to 0; it had %d", self._workload, self._workload.replicas)
        self._alone = asyncio.ensure_future(self._wait_gone())
        self._watcher = asyncio.ensure_future(self._watch(taken["metadata"]["resourceVersion"]))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (self._watcher, self._alone):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        await giveback.scale_back(self._api, self._workload.path, self._plan.session.hex())

    async def _take(self) -> Json:
        plan, workload = self._plan, self._workload
        found: Json = {
            "metadata": {"resourceVersion": workload.version},
            "spec": {"replicas": workload.replicas},
        }
        for _ in range(_TRIES):
            before = giveback.note_of(found)
            count = self._kind.replicas(found)
            if before is not None and count == 0:  # of a session that left no lease
                count = before[1]
            change = {
                "metadata": {"labels": giveback.note(plan.session.hex(), count)},
                "spec": {"replicas": 0},
            }
            taken = await giveback.patch_unchanged(self._api, workload.path, found, change)
            if taken is not None:
                return taken
            again = await giveback.get(self._api, workload.path)
            if again is None:
                break
            found = again
        raise ClusterError(f"{workload} changes too fast, or is gone: it cannot be swapped")

    async def alone(self) -> None:
        """Wait until no pod of the workload is left.  ClusterError: it takes too long."""
        assert self._alone is not None
        await asyncio.shield(self._alone)

    async def _wait_gone(self) -> None:
        pods = f"/api/v1/namespaces/{self._plan.namespace}/pods"
        while True:
            listed = await self._api.request("GET", pods, labelSelector=self._workload.selector)
            left = {pod["metadata"]["name"]: pod for pod in listed["items"] if self._is_old(pod)}
            if not left:
                return
            grace_s = max(
                float(pod["metadata"].get("deletionGracePeriodSeconds")
                      or pod["spec"].get("terminationGracePeriodSeconds") or 0)
                for pod in left.values()
            )  # fmt: skip
            log.info("waiting for %s to go, up to %.0f s", ", ".join(sorted(left)), grace_s)
            try:
                async with asyncio.timeout(grace_s + GRACE_S):
                    await self._see_them_go(pods, set(left), listed["metadata"]["resourceVersion"])
                    return
            except TimeoutError as exc:
                raise ClusterError(
                    f"pods of {self._workload} do not end: {', '.join(sorted(left))}",
                    hint=f"'kubectl -n {self._plan.namespace} describe pod' may say why",
                ) from exc
            except ApiError as exc:
                if exc.status != 410:  # Gone: the version is too old, list anew
                    raise

    def _is_old(self, pod: Json) -> bool:
        """One of the workload's that can still serve; kubelet deletes it a while after its end."""
        if pod["metadata"].get("labels", {}).get(LABEL) == self._plan.session.hex():
            return False
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return False
        return self._kind.owns(self._workload, pod)

    async def _see_them_go(self, pods: str, left: set[str], version: str) -> None:
        """Until the last is deleted, those included that a controller makes in between."""
        query = {"labelSelector": self._workload.selector, "resourceVersion": version}
        while left:
            async with contextlib.aclosing(self._api.watch(pods, **query)) as events:  # type: ignore[type-var] # an async generator
                async for event in events:
                    item = event["object"]
                    if event["type"] == "ERROR":
                        raise ApiError(
                            item.get("message", ""), status=item.get("code", 500), reason=""
                        )
                    query["resourceVersion"] = item["metadata"]["resourceVersion"]
                    if event["type"] == "DELETED" or not self._is_old(item):
                        left.discard(item["metadata"]["name"])
                    else:
                        left.add(item["metadata"]["name"])
                    if not left:
                        return

    async def _watch(self, version: str) -> None:
        """Say it when somebody else scales, or deletes, the workload."""
        collection, _, name = self._workload.path.rpartition("/")
        query = {"fieldSelector": f"metadata.name={name}", "resourceVersion": version}
        last = 0
        while True:
            try:
                async with contextlib.aclosing(self._api.watch(collection, **query)) as events:  # type: ignore[type-var] # an async generator
                    async for event in events:
                        if event["type"] == "ERROR":
                            query.pop("resourceVersion", None)
                            break
                        query["resourceVersion"] = event["object"]["metadata"]["resourceVersion"]
                        last = self._notice(event, last)
            except ClusterError as exc:
                log.warning("watching %s: %s", self._workload, exc)
            await asyncio.sleep(REWATCH_PAUSE_S)

    def _notice(self, event: Json, last: int) -> int:
        if event["type"] == "DELETED":
            self._say(f"{self._workload} was deleted by somebody else; there is nothing to restore")
            return 0
        count = int(event["object"]["spec"].get("replicas", 1))
        if count != last and count > 0:
            who = _last_writer(event["object"])
            self._say(
                f"{self._workload} was scaled to {count} by {who}: its pods and this session share "
                "its traffic until it is at 0 again; at the end it stays as it is"
            )
        return count


def _last_writer(found: Json) -> str:
    """The manager that owns spec.replicas.  Kubernetes, "Server-Side Apply", field management."""
    for entry in found["metadata"].get("managedFields", []):
        owned = entry.get("fieldsV1", {}).get("f:spec", {})
        # Kubernetes 1.20 leaves our name there when `kubectl scale` has changed it.
        if "f:replicas" in owned and entry["manager"] != giveback.MANAGER:
            return str(entry["manager"])
    return "somebody else"
