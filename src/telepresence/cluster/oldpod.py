"""Ask a pod of the workload that is to be swapped what stands in no API: its image's variables.

Called by: session.
Owns: the question, until the context ends.
Never: keeps a session from starting; asks more than once.
"""

import asyncio
import logging

from telepresence.cluster import existing
from telepresence.cluster.api import Api, ApiError, Json
from telepresence.cluster.execute import output_of
from telepresence.errors import ClusterError
from telepresence.values import Plan, Workload

log = logging.getLogger(__name__)

# It takes 0.1 s, while the pod in its place is made; a busy node takes its time.
TIMEOUT_S = 5.0
# Of the process that this starts, not of the container's first: that one may have changed its own,
# and may be the pause program of a pod whose containers share their processes.
COMMAND = ("cat", "/proc/self/environ")
_NO_PROGRAM = ("executable file not found", "no such file or directory")


class OldPod:
    """async with OldPod(api, plan, workload) as old: ...; await old.environ()"""

    def __init__(self, api: Api, plan: Plan, workload: Workload) -> None:
        self._api, self._plan, self._workload = api, plan, workload
        self._asking: asyncio.Task[bytes] | None = None
        self.note = ""  # what the user should hear

    async def __aenter__(self) -> "OldPod":
        # A container of the laptop's has an image, and so variables, of its own.
        if self._plan.container_run is None:
            self._asking = asyncio.ensure_future(self._ask())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    async def _ask(self) -> bytes:
        container = self._plan.container
        found = await existing.pods(self._api, self._workload)
        running = [pod["metadata"]["name"] for pod in found if _runs(pod, container)]
        if not running:  # it starts, or crashes again and again
            raise ClusterError(f"it runs in no pod of {self._workload}")
        return await output_of(self._api, running[0], container, *COMMAND)

    async def environ(self) -> dict[bytes, bytes]:
        """What a process in the old pod's container has; empty where that cannot be known."""
        if self._asking is None:
            return {}
        try:
            async with asyncio.timeout(TIMEOUT_S):
                data = await self._asking
        except (ClusterError, TimeoutError) as exc:
            log.warning("the old pod's environment: %r", exc)
            container = self._plan.container
            self.note = f"without the variables of {container}'s image (ENV): {_why(exc)}"
            return {}
        pairs = (entry.partition(b"=") for entry in data.split(b"\0") if entry)
        return {key: value for key, _, value in pairs}


def _runs(pod: Json, container: str) -> bool:
    statuses = pod["status"].get("containerStatuses") or []
    return any(each["name"] == container and "running" in each["state"] for each in statuses)


def _why(error: ClusterError | TimeoutError) -> str:
    if isinstance(error, TimeoutError):
        return f"its pod did not answer within {TIMEOUT_S:g} s"
    if isinstance(error, ApiError) and error.status == 403:
        return "you may not read them in its pod; 'telepresence rbac' prints the rights"
    if any(words in str(error) for words in _NO_PROGRAM):
        return "it has no program 'cat' to read them with"
    return str(error)
