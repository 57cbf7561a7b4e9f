"""Ports of the pod that lead to the laptop: each one's answer is awaited, a refusal here is told.

Called by: keeper.py and gateway/serve.py, which pass the engine's events on.
Owns: nothing; the engine owns the listeners until their close() or the tunnel's end.
Never: polls; sees a connection.
"""

import asyncio
import errno
import logging
import os

from telepresence.errors import TunnelError
from telepresence.fastpath import DialRefused, Listener, Listening, Tunnel

log = logging.getLogger(__name__)

_HINTS = {
    errno.EADDRINUSE: "another container has it there; take another port",
    errno.EACCES: "ports below 1024 need a privilege that was not given there",
}


class ExposedPorts:
    """What open() waits for comes by on_event()."""

    def __init__(self, tunnel: Tunnel, place: str = "the pod") -> None:
        """`place` is where the ports are, in words for the user."""
        self._tunnel, self._place = tunnel, place
        self._answers: dict[int, asyncio.Future[Listening]] = {}
        self._laptop_ports: dict[int, int] = {}

    async def open(self, pod_port: int, laptop_port: int) -> Listener:
        """The pod listens, from here to the listener's close().  TunnelError: why it does not."""
        try:
            listener = self._tunnel.listen(pod_port, laptop_port)
        except OSError as exc:
            raise TunnelError(f"cannot expose port {pod_port}: {exc.strerror}") from exc
        answer: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
        self._answers[listener.number] = answer
        self._laptop_ports[listener.number] = laptop_port
        try:
            said = await answer
        except asyncio.CancelledError:
            listener.close()
            raise
        finally:
            del self._answers[listener.number]
        if said.error:
            raise TunnelError(
                f"{self._place} cannot listen on port {pod_port}: {os.strerror(said.error)}",
                hint=_HINTS.get(said.error, ""),
            )
        log.info("port %d of %s leads to port %d here", said.port, self._place, laptop_port)
        return listener

    def on_event(self, event: Listening | DialRefused) -> None:
        answer = self._answers.get(event.listener)
        if isinstance(event, DialRefused):
            log.warning(
                "a connection to port %d of %s found nobody on port %d here: %s",
                event.port, self._place, self._laptop_ports.get(event.listener, 0),
                os.strerror(event.error),
            )  # fmt: skip
        elif answer is not None and not answer.done():
            answer.set_result(event)
        elif event.error:
            log.info("port %d of %s is no longer listened on", event.port, self._place)
