"""Say to a standing agent who has it, and when it is free again.

Called by: session, for a pod that is used and not made.
Owns: the stream that says so, until the context ends.
Never: ends the session; the agent does that for its part.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

from telepresence.values import Plan

SERVICE = "holder"  # telepresence.agent.serve's
LEAVE_TIMEOUT_S = 2.0  # a round trip; without it the agent is free after the resume time


class Hold:
    """async with Hold(plan, open_service): ..."""

    def __init__(self, plan: Plan, open_service: Callable[[str], Awaitable[socket.socket]]) -> None:
        self._plan, self._open_service = plan, open_service
        self._stream: socket.socket | None = None

    async def __aenter__(self) -> None:
        self._stream = await self._open_service(SERVICE)
        said = f"{self._plan.user} since {self._plan.since}"
        await asyncio.get_running_loop().sock_sendall(self._stream, said.encode())

    async def __aexit__(self, *_: object) -> None:
        """The agent has heard it when it closes its side."""
        assert self._stream is not None
        with contextlib.closing(self._stream), contextlib.suppress(OSError, TimeoutError):
            self._stream.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await asyncio.get_running_loop().sock_recv(self._stream, 1)
