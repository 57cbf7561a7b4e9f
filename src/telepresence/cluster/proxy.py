"""The proxy pod's life: created, watched (podwatch.py), deleted.

Called by: session.
Owns: the pod, until the context ends.
Never: leaves the pod behind, also when its creation was cut off half-way.
"""

import asyncio
import logging

from telepresence.cluster import giveback
from telepresence.cluster.api import Api, ApiError, Json
from telepresence.cluster.manifest import proxy_pod
from telepresence.cluster.podwatch import PodWatch
from telepresence.cluster.standin import standin_pod
from telepresence.errors import ClusterError
from telepresence.values import Plan

log = logging.getLogger(__name__)

STANDIN_GRACE_S = 2
DEFAULT_GRACE_S = 30  # Kubernetes' own of a pod
AFTER_S = 30  # the kubelet's work and the scheduler's back-off of 10 s


class ProxyPod(PodWatch):
    """async with ProxyPod(api, plan) as pod: await pod.ready(); ... await pod.ended"""

    def __init__(self, api: Api, plan: Plan, owner: Json | None = None) -> None:
        """The owner, a reference, is what deletes a stand-in when it is deleted itself."""
        super().__init__(api, plan)
        if plan.workload is None:
            self._manifest = proxy_pod(plan)
        else:
            assert owner is not None
            self._manifest = standin_pod(plan, plan.workload, owner)
            # The pods that it stands in for may have its room, or its port of the node, until they
            # have ended, which the scheduler hears of a while later.
            grace_s = plan.workload.template["spec"].get("terminationGracePeriodSeconds")
            self.schedule_grace_s = AFTER_S + (DEFAULT_GRACE_S if grace_s is None else grace_s)
        # No grace: the agent has nothing to lose, and the name is free again at once.  A stand-in
        # may have containers that have, and volumes that only one pod may use.
        self.grace_s = 0 if plan.workload is None else STANDIN_GRACE_S

    async def __aenter__(self) -> "ProxyPod":
        creation = asyncio.ensure_future(self._create())
        try:
            made = await asyncio.shield(creation)
        except asyncio.CancelledError:
            # The request may be on its way: wait for its end, then take it back.
            await asyncio.wait([creation])
            if creation.exception() is None:
                await self._delete()
            raise
        log.info("created pod %s in namespace %s", self._plan.pod_name, self._plan.namespace)
        self.start_watch(made["metadata"]["resourceVersion"])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop_watch()
        await self._delete()

    async def _create(self) -> Json:
        plan = self._plan
        try:
            return await self._api.request("POST", self._pods, self._manifest)
        except ApiError as exc:
            if exc.reason == "AlreadyExists":
                raise ClusterError(
                    f"a pod {plan.pod_name} exists already in namespace {plan.namespace}",
                    hint="choose another name with --new-deployment, or delete it if it is yours",
                ) from exc
            if exc.status == 404:
                raise ClusterError(
                    f"there is no namespace {plan.namespace} in context {plan.context}",
                    hint="name another with --namespace; 'kubectl get namespaces' lists them",
                ) from exc
            raise ClusterError(
                f"the cluster refuses pod {plan.pod_name} in namespace {plan.namespace}: {exc}",
                hint="ask whoever runs the cluster, with this message",
            ) from exc

    async def _delete(self) -> None:
        await giveback.remove(self._api, self.path, self._plan.session.hex(), grace_s=self.grace_s)
