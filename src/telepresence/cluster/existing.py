"""A pod of a workload that runs our agent already: chosen, watched, and left as it is.

Called by: cluster/observe.py (choose), session (UsedPod).
Owns: the watch on the pod, until the context ends.
Never: changes or deletes anything.
"""

from telepresence.cluster.api import Api, ApiError, Json
from telepresence.cluster.podwatch import PodWatch
from telepresence.cluster.workload import kind_named
from telepresence.values import Workload


async def pods(api: Api, workload: Workload) -> list[Json]:
    """The workload's pods that run or may come to, those that run first."""
    path = f"/api/v1/namespaces/{api.namespace}/pods"
    try:
        listed = await api.request("GET", path, labelSelector=workload.selector)
    except ApiError as exc:
        if exc.status == 403:  # the rights that are missing are told by their names
            return []
        raise
    kind = kind_named(workload.kind)
    fit = [pod for pod in listed["items"] if kind.owns(workload, pod) and not _ends(pod)]
    return sorted(fit, key=_order)


def _ends(pod: Json) -> bool:
    phase = pod.get("status", {}).get("phase")
    return "deletionTimestamp" in pod["metadata"] or phase in ("Succeeded", "Failed")


def _order(pod: Json) -> tuple[bool, str]:
    return pod.get("status", {}).get("phase") != "Running", pod["metadata"]["name"]


class UsedPod(PodWatch):
    """async with UsedPod(api, plan) as pod: await pod.ready(); ... await pod.ended"""

    async def __aenter__(self) -> "UsedPod":
        """ClusterError: it is gone."""
        self.start_watch(await self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop_watch()
