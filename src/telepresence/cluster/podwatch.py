"""Watch the pod that has the agent, until it is ready and after.

Called by: cluster/proxy.py and cluster/existing.py, which say where the pod comes from.
Owns: the watch, from start_watch() to stop_watch().
Never: polls; changes the pod.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from telepresence.cluster import faults
from telepresence.cluster.api import Api, ApiError, Json, Unreachable
from telepresence.cluster.projections import divide, specified
from telepresence.errors import ClusterError
from telepresence.values import MountPoint, Plan, Pod

log = logging.getLogger(__name__)

# A cluster that adds nodes on demand needs minutes; one that has none to give says so at once.
# This is for a scheduler that is about to find room, not for an autoscaler.
SCHEDULE_GRACE_S = 5.0
TOLD_AFTER_S = 6.0  # a person begins to wonder; one that no node takes has been given up by then
REWATCH_PAUSE_S = 1.0
LOG_LINES = 10


class PodWatch:
    """Of the pod that the plan names."""

    def __init__(self, api: Api, plan: Plan) -> None:
        loop = asyncio.get_running_loop()
        self._api, self._plan = api, plan
        self._pods = f"/api/v1/namespaces/{plan.namespace}/pods"
        self.path = f"{self._pods}/{plan.pod_name}"
        self._ready: asyncio.Future[None] = loop.create_future()
        # Ends with the error that ended the pod.
        self.ended: asyncio.Future[None] = loop.create_future()
        self._volumes: tuple[tuple[bytes, ...], tuple[bytes, ...]] = ((), ())
        self._mounts: tuple[MountPoint, ...] = ()
        self._watcher: asyncio.Task[None] | None = None
        self._unscheduled: asyncio.TimerHandle | None = None
        self._reason = "the cluster has not said anything yet"
        self._tell: Callable[[str], None] | None = None  # once the wait is long
        self.schedule_grace_s = SCHEDULE_GRACE_S

    def start_watch(self, version: str) -> None:
        """From this resourceVersion on."""
        self._watcher = asyncio.ensure_future(self._watch(version))

    async def stop_watch(self) -> None:
        if self._unscheduled is not None:
            self._unscheduled.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
        for future in (self._ready, self.ended):
            future.cancel()

    async def ready(self, say: Callable[[str], None]) -> Pod:
        """Wait until the agent runs.  ClusterError as soon as the cluster says why it will not.

        Say what is waited for, if that takes long."""
        limit_s = self._plan.ready_timeout_s
        telling = asyncio.get_running_loop().call_later(TOLD_AFTER_S, self._begin_to_tell, say)
        try:
            async with asyncio.timeout(limit_s):
                await asyncio.shield(self._ready)
        except TimeoutError as exc:
            raise ClusterError(
                f"pod {self._plan.pod_name} was not ready after {limit_s:g} s: {self._reason}",
                hint=f"see 'kubectl -n {self._plan.namespace} get events'; --ready-timeout waits "
                "longer",
            ) from exc
        finally:
            telling.cancel()
            self._tell = None
        return Pod(
            name=self._plan.pod_name,
            namespace=self._plan.namespace,
            container=self._plan.container,
            projections=self._volumes[0],
            other_volumes=self._volumes[1],
            mounts=self._mounts,
        )

    def _begin_to_tell(self, say: Callable[[str], None]) -> None:
        self._tell = say
        say(f"still waiting for pod {self._plan.pod_name}: {self._reason}")

    def _see_reason(self, pod: Json) -> None:
        reason = faults.waiting_for(pod, self._plan.container)
        if reason != self._reason and self._tell is not None:
            self._tell(f"still waiting for pod {self._plan.pod_name}: {reason}")
        self._reason = reason

    async def _watch(self, version: str) -> None:
        try:
            while True:
                try:
                    await self._follow(version)
                except ApiError as exc:
                    if exc.status != 410:  # Gone: the version is too old, look anew
                        raise
                except Unreachable as exc:
                    log.warning("watching the pod: %s", exc)
                    await asyncio.sleep(REWATCH_PAUSE_S)
                version = await self._look()
        except ClusterError as exc:
            self._fail(exc)

    async def _look(self) -> str:
        """The pod as it is now; an API server that restarts is waited for."""
        while True:
            try:
                pod = await self._api.request("GET", self.path)
            except ApiError as exc:
                if exc.status == 404:
                    raise ClusterError(f"pod {self._plan.pod_name} was deleted") from exc
                raise
            except Unreachable:
                await asyncio.sleep(REWATCH_PAUSE_S)
                continue
            await self._see(pod)
            return str(pod["metadata"]["resourceVersion"])

    async def _follow(self, version: str) -> None:
        name = f"metadata.name={self._plan.pod_name}"
        events = self._api.watch(self._pods, fieldSelector=name, resourceVersion=version)
        async with contextlib.aclosing(events):  # type: ignore[type-var] # an async generator
            async for event in events:
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise ApiError(
                        status.get("message", ""), status=status.get("code", 500), reason=""
                    )
                if event["type"] == "DELETED":
                    raise ClusterError(
                        f"pod {self._plan.pod_name} was deleted by somebody else",
                        hint="a node that was drained or a clean-up; start again",
                    )
                await self._see(event["object"])

    async def _see(self, pod: Json) -> None:
        fault = faults.diagnose(pod, self._plan.container)
        if fault is not None:
            if isinstance(fault, faults.Crashed):
                fault.hint = await self._last_words(fault.container)
            raise fault
        self._see_schedule(faults.unschedulable(pod))
        if faults.is_running(pod, self._plan.container) and not self._ready.done():
            self._volumes = divide(pod["spec"], self._plan.container)
            self._mounts = specified(pod["spec"], self._plan.container)
            self._ready.set_result(None)
        elif not self._ready.done():
            self._see_reason(pod)

    def _see_schedule(self, message: str | None) -> None:
        if message is None:
            if self._unscheduled is not None:
                self._unscheduled.cancel()
                self._unscheduled = None
        elif self._unscheduled is None:
            error = ClusterError(
                f"pod {self._plan.pod_name} cannot be scheduled: {message}",
                hint="free some room in the cluster, or use another --namespace or --context",
            )
            loop = asyncio.get_running_loop()
            self._unscheduled = loop.call_later(self.schedule_grace_s, self._fail, error)

    async def _last_words(self, container: str) -> str:
        try:
            text = await self._api.text(
                f"{self.path}/log", tailLines=str(LOG_LINES), container=container
            )
        except ClusterError as exc:
            return f"its log cannot be read: {exc}"
        return "its last log lines:\n" + (text.rstrip() or "(none)")

    def _fail(self, error: ClusterError) -> None:
        for future in (self._ready, self.ended):
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever does not wait for it need not hear of it
