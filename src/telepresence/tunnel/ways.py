"""Choose the way by which the next carrier goes: the API server itself, else kubectl.

Called by: tunnel/keeper.py.
Owns: the port-forward of kubectl or oc, as long as one is needed.
Never: greets the agent; gives up (the keeper knows for how long to try).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from telepresence.errors import TunnelError
from telepresence.tunnel.apiserver import ApiCarrier, Unavailable
from telepresence.tunnel.carrier import Carrier, SocketCarrier
from telepresence.tunnel.portforward import PortForward
from telepresence.values import ApiAccess, Plan, Pod

log = logging.getLogger(__name__)

DIRECT_TIMEOUT_S = 5.0  # TCP, TLS and one request: four round trips


class Ways:
    """Makes one carrier after another to one port of the pod."""

    def __init__(
        self, plan: Plan, pod: Pod, port: int, access: Callable[[], Awaitable[ApiAccess | None]]
    ) -> None:
        self._plan, self._pod, self._port = plan, pod, port
        self._access = access
        self._forward: PortForward | None = None
        self._refused = False  # the API server will not forward for us
        self._works = False  # it has

    async def connect(self, attempt: int) -> Carrier:
        """OSError, TimeoutError, TunnelError: this time it did not work.

        As long as it is not known whether the direct way exists, one and the other in turn."""
        if not self._refused and (self._works or attempt % 2 == 0):
            carrier = await self._directly()
            if carrier is not None:
                return carrier
        return await self._through_kubectl()

    async def _directly(self) -> Carrier | None:
        access = await self._access()
        if access is None:
            log.info("the API server is behind a proxy or without TLS: kubectl forwards")
            self._refused = True
            return None
        try:
            async with asyncio.timeout(DIRECT_TIMEOUT_S):
                carrier = await ApiCarrier.connect(
                    access, namespace=self._pod.namespace, pod=self._pod.name, port=self._port
                )
        except Unavailable as exc:
            # A server that has done it before has another reason, such as a node that is away.
            log.info("%s: kubectl forwards instead", exc)
            self._refused = not self._works
            return None
        self._works = True
        return carrier

    async def _through_kubectl(self) -> Carrier:
        if self._plan.kubectl is None:
            raise TunnelError("the API server forwards nothing, and there is no kubectl or oc")
        if self._forward is None or not self._forward.alive:
            await self.drop()
            self._forward = await PortForward.start(
                self._plan.kubectl,
                context=self._plan.context,
                namespace=self._pod.namespace,
                pod=self._pod.name,
                port=self._port,
            )
        return await SocketCarrier.connect(self._forward.port)

    async def drop(self) -> None:
        """End the port-forward, if there is one: the next carrier gets a new one."""
        forward, self._forward = self._forward, None
        if forward is not None:
            await forward.close()
