"""Keep the tunnel to the agent carried, over one carrier after another.

Called by: session.
Owns: the engine's tunnel, the port-forward if one is needed, and the task that renews the carrier.
Never: gives up before the resume time is over; tries a refusal again.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable

from telepresence import hello
from telepresence.errors import ProtocolError, TunnelError
from telepresence.fastpath import (
    CarrierLost,
    DialRefused,
    Engine,
    Event,
    Listening,
    Tunnel,
    TunnelBroken,
)
from telepresence.mountinfo import take_mounts
from telepresence.tunnel.carrier import Carrier
from telepresence.tunnel.exposed import ExposedPorts
from telepresence.tunnel.service import open_service, read_service
from telepresence.tunnel.ways import Ways
from telepresence.values import ApiAccess, Endpoints, Plan, Pod

log = logging.getLogger(__name__)

FIRST_TIMEOUT_S = 30.0
HELLO_TIMEOUT_S = 5.0  # two round trips through the API server
PAUSES_S = (0.0, 0.05, 0.2, 0.5, 1.0)  # then the last one again and again
_REFUSALS = {
    hello.Code.WRONG_SECRET: "it belongs to another session",
    hello.Code.WRONG_VERSION: "it speaks another version of the carrier; use this version's image",
    hello.Code.TOO_LATE: "it no longer holds the bytes that were under way",
    hello.Code.IN_USE: "it is used by {}",
    hello.Code.BROKEN: "its side of the session has ended in an error",
}

_HINTS = {
    hello.Code.IN_USE: "wait until it is over, or use another pod",
}


class Refused(TunnelError):
    """The agent answered and said no: trying again cannot help."""


class Keeper:
    """async with Keeper(engine, plan, pod, port, api.access) as keeper: ... await keeper.failed"""

    def __init__(
        self,
        engine: Engine,
        plan: Plan,
        pod: Pod,
        carrier_port: int,
        access: Callable[[], Awaitable[ApiAccess | None]],
    ) -> None:
        self._engine, self._plan, self._pod = engine, plan, pod
        self._ways = Ways(plan, pod, carrier_port, access)
        self._lost = asyncio.Event()
        self._renewer: asyncio.Task[None] | None = None
        self.tunnel = Tunnel(engine, role="laptop")
        self._watchers: dict[int, Callable[[Event], None]] = {}
        self.exposed = ExposedPorts(self.tunnel)
        # Ends with the error that ended the tunnel.
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> "Keeper":
        asyncio.get_running_loop().add_reader(self._engine.event_fd, self._on_events)
        try:
            await self._carry(FIRST_TIMEOUT_S)
        except BaseException:
            await self.__aexit__()
            raise
        self._renewer = asyncio.ensure_future(self._renew())
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._engine.event_fd)
        if self._renewer is not None:
            self._renewer.cancel()
            await asyncio.wait([self._renewer])
        self.failed.cancel()
        self.tunnel.close()
        await self._ways.drop()

    async def endpoints(self) -> Endpoints:
        """What the agent tells of its container.  TunnelError, ProtocolError."""
        data, mounts, names = await asyncio.gather(
            *(read_service(self.tunnel, name) for name in ("environ", "mounts", "names"))
        )
        entries = (entry.partition(b"=") for entry in data.split(b"\0") if entry)
        resolv_conf, hosts, *_ = names.decode(errors="replace").split("\0")
        return Endpoints(
            environ={key: value for key, _, value in entries},
            mounts=take_mounts(mounts),
            resolv_conf=resolv_conf,
            hosts=hosts,
        )

    async def open_service(self, name: str) -> socket.socket:
        return await open_service(self.tunnel, name)

    def _on_events(self) -> None:
        for event in self._engine.take_events():
            if event.tunnel in self._watchers:
                self._watchers[event.tunnel](event)
            elif isinstance(event, CarrierLost):
                log.warning("carrier lost after %d bytes: %s", event.received, _why(event.error))
                self._lost.set()
            elif isinstance(event, TunnelBroken):
                self.fail(TunnelError(f"the tunnel broke: {_why(event.error)}"))
            elif isinstance(event, Listening | DialRefused):
                self.exposed.on_event(event)

    def watch(self, tunnel: Tunnel, on_event: Callable[[Event], None]) -> None:
        """Another tunnel of the engine, whose events come here too."""
        self._watchers[tunnel.number] = on_event

    def exposed_on(self, tunnel: Tunnel, place: str) -> ExposedPorts:
        """Ports at the other end of such a tunnel, for whoever watches it."""
        return ExposedPorts(tunnel, place)

    def fail(self, error: Exception) -> None:
        """End the session with this, unless another error was first."""
        if not self.failed.done():
            self.failed.set_exception(error)
            self.failed.exception()  # whoever does not wait for it need not hear of it

    async def _renew(self) -> None:
        while True:
            await self._lost.wait()
            self._lost.clear()
            if self.tunnel.stats()["attached"]:
                continue  # the news is of a carrier that has been replaced already
            try:
                await self._carry(self._plan.resume_timeout_s)
            except (TunnelError, ProtocolError) as exc:
                self.fail(exc)
                return

    async def _carry(self, timeout_s: float) -> None:
        """Attach a carrier; tries until it works, is refused, or the time is over."""
        deadline = time.monotonic() + timeout_s
        tries = 0
        while True:
            try:
                await self._carry_once(tries)
            except (OSError, EOFError, TimeoutError, TunnelError) as exc:
                if isinstance(exc, Refused):
                    raise
                log.warning("no carrier to pod %s: %r", self._pod.name, exc)
                if time.monotonic() >= deadline:
                    raise TunnelError(
                        f"no way to pod {self._pod.name} for {timeout_s:.0f} s: {exc}",
                        hint="is the cluster still there?  The log has every try.",
                    ) from exc
                await self._ways.drop()
                await asyncio.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
                tries += 1
            else:
                log.info("carrier attached after %d tries", tries + 1)
                return

    async def _carry_once(self, attempt: int) -> None:
        carrier = await self._ways.connect(attempt)
        with contextlib.closing(carrier):
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                received = self.tunnel.detach()
                await carrier.send(
                    hello.make_hello(self._plan.session, self._plan.secret, received)
                )
                welcome = await _read_welcome(carrier)
                holder = await _read_holder(carrier, welcome)
            if welcome.code is not hello.Code.WELCOME:
                raise Refused(
                    f"the agent in pod {self._pod.name} refuses: "
                    f"{_REFUSALS[welcome.code].format(holder)}",
                    hint=_HINTS.get(welcome.code, ""),
                )
            carrier.attach(self.tunnel, welcome.received)


async def _read_welcome(carrier: Carrier) -> hello.Welcome:
    data = b""
    while (welcome := hello.take_welcome(data)) is None:
        more = await carrier.recv(hello.WELCOME_BYTES - len(data))
        if not more:
            raise EOFError("the port-forward closed the connection")
        data += more
    return welcome


async def _read_holder(carrier: Carrier, welcome: hello.Welcome) -> str:
    """Who has the agent, if that is why it refuses."""
    if welcome.code is not hello.Code.IN_USE:
        return ""
    data = b""
    size = min(welcome.received, 4 * hello.HOLDER_CHARS)
    while len(data) < size and (more := await carrier.recv(size - len(data))):
        data += more
    return hello.printable(data.decode(errors="replace"))


def _why(error: int) -> str:
    return os.strerror(error) if error else "closed by the other side"
