"""A tunnel between the laptop and the proxy container, over carriers that the laptop dials.

Called by: method/container/whole.py, for the tunnel that is joined to the pod's and, if ports of
the laptop are wanted in the container, for one the other way round.
Owns: that tunnel, and the task that renews its carrier.
Never: carries the pod's tunnel; the keeper does.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Protocol

from telepresence import hello
from telepresence.errors import InternalError, ProtocolError, TunnelError
from telepresence.fastpath import (
    CarrierLost,
    DialRefused,
    Event,
    Listener,
    Listening,
    Tunnel,
    TunnelBroken,
)
from telepresence.method.container.engine import Place

log = logging.getLogger(__name__)

HELLO_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 1.0  # it is on this machine
GIVE_UP_S = 8.0  # the gateway waits for 10 s
PAUSE_S = 0.02


class Exposing(Protocol):
    """Opens ports at the other end of a tunnel."""

    async def open(self, pod_port: int, laptop_port: int) -> Listener: ...
    def on_event(self, event: Listening | DialRefused) -> None: ...


class Keeping(Protocol):
    """Whoever has the engine's events, and ends the session."""

    def watch(self, tunnel: Tunnel, on_event: Callable[[Event], None]) -> None: ...
    def exposed_on(self, tunnel: Tunnel, place: str) -> Exposing: ...
    def fail(self, error: Exception) -> None: ...


class Hop:
    """async with Hop(keeper, tunnel, places=..., session=..., secret=...): ...

    The tunnel is the hop's, which closes it."""

    def __init__(
        self,
        keeping: Keeping,
        tunnel: Tunnel,
        *,
        places: tuple[Place, ...],
        session: bytes,
        secret: bytes,
        on_exposed: Callable[[Listening | DialRefused], None] | None = None,
    ) -> None:
        self._keeping = keeping
        self._places, self._session, self._secret = places, session, secret
        self._lost = asyncio.Event()
        self._renewer: asyncio.Task[None] | None = None
        self._tunnel, self._on_exposed = tunnel, on_exposed

    async def __aenter__(self) -> "Hop":
        self._keeping.watch(self._tunnel, self._on_event)
        try:
            await self._carry()
        except BaseException:
            self._tunnel.close()
            raise
        self._renewer = asyncio.ensure_future(self._renew())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._renewer is not None:
            self._renewer.cancel()
            await asyncio.wait([self._renewer])
        self._tunnel.close()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, CarrierLost):
            self._lost.set()
        elif isinstance(event, TunnelBroken):
            reason = os.strerror(event.error)
            self._keeping.fail(TunnelError(f"the way to the proxy container broke: {reason}"))
        elif isinstance(event, Listening | DialRefused) and self._on_exposed is not None:
            self._on_exposed(event)

    async def _renew(self) -> None:
        while True:
            await self._lost.wait()
            self._lost.clear()
            if self._tunnel.stats()["attached"]:
                continue
            try:
                await self._carry()
            except (TunnelError, ProtocolError) as exc:
                self._keeping.fail(exc)
                return

    async def _carry(self) -> None:
        """The engine's own proxy accepts before the container listens: a try may be early."""
        deadline = time.monotonic() + GIVE_UP_S
        while True:
            try:
                await self._carry_once()
            except (OSError, EOFError, TimeoutError) as exc:
                if time.monotonic() >= deadline:
                    raise TunnelError(
                        f"the proxy container does not answer on "
                        f"{self._places[-1].host}:{self._places[-1].port}: {exc}",
                        hint="does the engine publish ports on this machine's loopback?",
                    ) from exc
                await asyncio.sleep(PAUSE_S)
            else:
                return

    async def _connect(self) -> tuple[socket.socket, Place]:
        """To the first of the places that answers.  OSError: what the last one says."""
        loop = asyncio.get_running_loop()
        for place in self._places:
            carrier = socket.socket()
            carrier.setblocking(False)
            try:
                if place.source:
                    carrier.bind((place.source, 0))
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await loop.sock_connect(carrier, (place.host, place.port))
            except BaseException as exc:
                carrier.close()
                if place is self._places[-1] or not isinstance(exc, OSError):
                    raise
            else:
                return carrier, place
        raise InternalError("no place of the proxy container is known")

    async def _carry_once(self) -> None:
        loop = asyncio.get_running_loop()
        carrier, place = await self._connect()
        with contextlib.closing(carrier):
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                received = self._tunnel.detach()
                await loop.sock_sendall(
                    carrier, hello.make_hello(self._session, self._secret, received)
                )
                data = b""
                while (welcome := hello.take_welcome(data)) is None:
                    more = await loop.sock_recv(carrier, hello.WELCOME_BYTES - len(data))
                    if not more:
                        raise EOFError("closed")
                    data += more
            if welcome.code is not hello.Code.WELCOME:
                raise TunnelError(f"the proxy container refuses its carrier: {welcome.code.name}")
            self._tunnel.attach(carrier.fileno(), welcome.received)
            carrier.detach()
        log.info("the proxy container is attached over %s:%d", place.host, place.port)
