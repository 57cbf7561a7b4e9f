"""The Lease that says whose a swapped workload is, and that its session lives.

Called by: session; cluster/restore.py for those of others.
Owns: the Lease and the task that renews it, until the context ends.
Never: trusts a clock of a laptop: all times are the API server's.
"""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from telepresence.cluster import giveback
from telepresence.cluster.api import Api, ApiError, Json
from telepresence.cluster.manifest import LABEL, notes
from telepresence.errors import ClusterError
from telepresence.values import Plan, Workload

log = logging.getLogger(__name__)

WORKLOAD, POD = "telepresence.io/workload", "telepresence.io/pod"  # annotations
_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"  # Kubernetes' MicroTime
RENEWALS = 3  # in the time after which it counts as dead: two may be lost


def leases_path(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def lease_name(workload: Workload) -> str:
    return f"telepresence-{workload.kind.lower()}-{workload.name}"


def is_alive(lease: Json, now: datetime) -> bool:
    """Whether its holder has renewed it in time."""
    spec = lease["spec"]
    renewed = datetime.strptime(spec["renewTime"], _FORMAT).replace(tzinfo=UTC)
    return now < renewed + timedelta(seconds=spec["leaseDurationSeconds"])


class Lease:
    """async with Lease(api, plan, workload) as lease: lease.reference owns the pod"""

    def __init__(self, api: Api, plan: Plan, workload: Workload) -> None:
        self._api, self._plan, self._workload = api, plan, workload
        self._leases = leases_path(plan.namespace)
        self.path = f"{self._leases}/{lease_name(workload)}"
        self._renewer: asyncio.Task[None] | None = None
        self.reference: Json = {}

    async def __aenter__(self) -> "Lease":
        try:
            made = await self._create()
        except ApiError as exc:
            if exc.reason != "AlreadyExists":
                raise ClusterError(
                    f"the cluster refuses the lease of {self._workload}: {exc}",
                    hint="nothing has been changed",
                ) from exc
            await self._evict()
            made = await self._create()
        self.reference = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "name": made["metadata"]["name"],
            "uid": made["metadata"]["uid"],
            "controller": True,
        }
        log.info("created lease %s", self.path)
        self._renewer = asyncio.ensure_future(self._renew())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._renewer is not None:
            self._renewer.cancel()
            await asyncio.wait([self._renewer])
        await giveback.remove(self._api, self.path, self._plan.session.hex())

    def _now(self) -> str:
        return self._api.now().strftime(_FORMAT)

    async def _create(self) -> Json:
        plan, now = self._plan, self._now()
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": lease_name(self._workload),
                "labels": {LABEL: plan.session.hex()},
                "annotations": {
                    **notes(plan), WORKLOAD: self._workload.path, POD: plan.pod_name
                },
            },
            "spec": {
                "holderIdentity": plan.user,
                "leaseDurationSeconds": int(plan.resume_timeout_s),
                "acquireTime": now,
                "renewTime": now,
            },
        }  # fmt: skip
        return await self._api.request("POST", self._leases, body)

    async def _evict(self) -> None:
        """Make room if the holder is gone, giving back what it left.  ClusterError: it lives."""
        lease = await giveback.get(self._api, self.path)
        if lease is None:
            return
        if is_alive(lease, self._api.now()):
            raise ClusterError(held(self._workload, lease), hint="wait until it is over")
        log.warning("the lease of %s is dead: %s", self._workload, lease["spec"])
        await give_back_lease(self._api, lease)

    async def _renew(self) -> None:
        pause_s = self._plan.resume_timeout_s / RENEWALS
        while True:
            await asyncio.sleep(pause_s)
            try:
                await self._api.request("PATCH", self.path, {"spec": {"renewTime": self._now()}})
            except ClusterError as exc:  # the next one may be in time
                log.warning("renewing the lease of %s: %s", self._workload, exc)


def held(workload: Workload | str, lease: Json) -> str:
    """In words, whose the workload is."""
    spec = lease["spec"]
    return f"{workload} is swapped by {spec['holderIdentity']} since {spec['acquireTime'][:19]}Z"


async def give_back_lease(api: Api, lease: Json) -> None:
    """Undo what the session of a dead lease left: the workload's replicas, its pod, the lease."""
    session = lease["metadata"]["labels"][LABEL]
    marks = lease["metadata"]["annotations"]
    await giveback.scale_back(api, marks[WORKLOAD], session)
    namespace = lease["metadata"]["namespace"]
    await giveback.remove(api, f"/api/v1/namespaces/{namespace}/pods/{marks[POD]}", session)
    await giveback.remove(api, f"{leases_path(namespace)}/{lease['metadata']['name']}", session)
