"""Open the pod's ports to the laptop, and let the pod be ready while somebody listens here.

Called by: session, when the workload's own pods are gone; gateway, for a container's ports.
Owns: the listeners in the pod and the stream of its probes, until the context ends.
Never: sees a byte of a connection; the engine dials.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

from telepresence.errors import TunnelError
from telepresence.fastpath import Listener
from telepresence.listening import listened_on
from telepresence.values import Port

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0  # a round trip and a bind(2)
READY = "ready"  # the agent's service


class Wishes(Protocol):
    """What is used of a plan."""

    @property
    def expose(self) -> tuple[Port, ...]: ...
    @property
    def from_pod(self) -> tuple[int, ...]: ...
    @property
    def ready_when_listening(self) -> bool: ...


class Exposure:
    """async with Exposure(plan, open_port, open_service, say): ..."""

    def __init__(
        self,
        plan: Wishes,
        open_port: Callable[[int, int], Awaitable[Listener]],
        open_service: Callable[[str], Awaitable[socket.socket]],
        say: Callable[[str], None],
    ) -> None:
        """open_port takes the pod's port and the laptop's."""
        self._plan, self._open_port, self._open_service = plan, open_port, open_service
        self._say = say
        self._listeners: list[Listener] = []
        self._answering: asyncio.Task[None] | None = None
        self._ready: socket.socket | None = None

    async def __aenter__(self) -> "Exposure":
        """TunnelError: the pod cannot listen on a port that was asked for."""
        back = tuple(Port(laptop=number, pod=number) for number in self._plan.from_pod)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await asyncio.gather(*(self._open(port) for port in (*self._plan.expose, *back)))
        except TimeoutError as exc:
            raise TunnelError("the pod does not say whether it listens") from exc
        if self._plan.ready_when_listening:
            self._ready = await self._open_service(READY)
            self._answering = asyncio.ensure_future(self._answer(self._ready))
        return self

    async def _open(self, port: Port) -> None:
        try:
            self._listeners.append(await self._open_port(port.pod, port.laptop))
        except TunnelError as exc:
            if not port.is_declared:
                raise
            self._say(f"{exc}; it is not exposed")

    def _is_ready(self) -> bool:
        """While all that were asked for are listened on; of declared ones, any."""
        asked = {port.laptop for port in self._plan.expose if not port.is_declared}
        found = listened_on()
        if found is None:  # nobody can tell
            return True
        return asked <= found if asked else any(p.laptop in found for p in self._plan.expose)

    async def _answer(self, stream: socket.socket) -> None:
        """Each of kubelet's probes, which the agent hands on: agent/services.py."""
        loop, before = asyncio.get_running_loop(), None
        with contextlib.suppress(OSError):  # the tunnel is broken: the session ends anyway
            while await loop.sock_recv(stream, 64):
                now = self._is_ready()
                if now != before:
                    log.info("the pod is %s", "ready" if now else "unready")
                before = now
                await loop.sock_sendall(stream, b"1" if now else b"0")

    async def __aexit__(self, *_: object) -> None:
        if self._answering is not None:
            self._answering.cancel()
            await asyncio.wait([self._answering])
        if self._ready is not None:
            self._ready.close()
        for listener in self._listeners:
            listener.close()
