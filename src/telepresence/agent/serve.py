"""Accept carriers of one session, run its tunnel, and leave when the client has gone.

Called by: agent.__main__.
Owns: the engine, both listening sockets, and every connection whose HELLO is being read.
Never: touches a payload byte; believes a client whose secret has another digest.
"""

import asyncio
import contextlib
import errno
import hashlib
import hmac
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal

from telepresence import hello
from telepresence.agent.services import serve_service
from telepresence.errors import ProtocolError, TunnelError
from telepresence.fastpath import (
    CarrierLost,
    DialRefused,
    Engine,
    Listening,
    ServiceOpened,
    SocksServer,
    Tunnel,
    TunnelBroken,
)

log = logging.getLogger(__name__)

Carriers = asyncio.Queue[socket.socket]

CARRIER_PORT = 9040
SOCKS_PORT = 9050  # Telepresence 1's and Tor's
HELLO_TIMEOUT_S = 10.0  # one segment through a port-forward, with a slow network's retransmissions
BACKLOG = 128
LEAVE_S = 5.0  # from a client's word that it leaves to the end of its carrier
HOLDER = "holder"  # the service by which a client says who it is, and when it leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the pod's arguments say; the session and the digest are raw bytes."""

    session: bytes | None  # None: the first that comes, and after its end the next
    secret_sha256: bytes | None
    carrier_port: int = CARRIER_PORT
    socks_port: int = SOCKS_PORT
    first_client_timeout_s: float = 120.0
    resume_timeout_s: float = 60.0


def listen(port: int, host: str = "127.0.0.1") -> socket.socket:
    """TunnelError names the port."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as exc:
        listener.close()
        raise TunnelError(f"cannot listen on {host}:{port}: {exc.strerror}") from exc
    return listener


async def _accept(listener: socket.socket, carriers: Carriers) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            carrier, _ = await loop.sock_accept(listener)
        except OSError as exc:  # out of descriptors: the next client may have better luck
            log.warning("accepting a carrier: %s", exc)
            await asyncio.sleep(0.1)
            continue
        await carriers.put(carrier)


@contextlib.asynccontextmanager
async def accepting(listener: socket.socket) -> AsyncIterator[Carriers]:
    """Carriers as they come, for one session after another: accepting does not end with a session,
    since an accept that is cancelled may lose a carrier.  The listener is closed at the end."""
    carriers: Carriers = asyncio.Queue(BACKLOG)
    with listener:
        task = asyncio.get_running_loop().create_task(_accept(listener, carriers))
        try:
            yield carriers
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            while not carriers.empty():
                carriers.get_nowait().close()


class Session:
    """The end of one session that is dialled, for as long as its client comes back in time."""

    def __init__(
        self, settings: Settings, engine: Engine, *, role: Literal["laptop", "agent"] = "agent"
    ) -> None:
        self._settings = settings
        self._known: tuple[bytes, bytes] | None = None  # session and digest of its secret
        if settings.session is not None and settings.secret_sha256 is not None:
            self._known = settings.session, settings.secret_sha256
        self._holder = "somebody"
        self._has_left = False
        self.told_to_stop = False
        self._engine = engine
        self.tunnel = Tunnel(engine, role=role)
        self.attached = asyncio.Event()  # by the first carrier
        self.on_exposed: Callable[[Listening | DialRefused], None] | None = None
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._deadline: asyncio.TimerHandle | None = None

    async def run(self, carriers: Carriers) -> str:
        """Serve until the session is over; returns why."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_reader(self._engine.event_fd, self._on_events)
        if self._settings.session is not None:
            self._expect_client(self._settings.first_client_timeout_s, "no client came")
        self._spawn(self._take(carriers))
        try:
            return await self._over
        finally:
            loop.remove_reader(self._engine.event_fd)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _stop(self, number: signal.Signals) -> None:
        self.told_to_stop = True
        self._end(f"told to stop ({number.name})")

    def _end(self, reason: str) -> None:
        if not self._over.done():
            self._over.set_result(reason)

    def _expect_client(self, timeout_s: float, otherwise: str) -> None:
        loop = asyncio.get_running_loop()
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = loop.call_later(
            timeout_s, self._end, f"{otherwise} for {timeout_s:g} s: the session is over"
        )

    async def _take(self, carriers: Carriers) -> None:
        while True:
            carrier = await carriers.get()

            def close(_: object, carrier: socket.socket = carrier) -> None:
                carrier.close()  # unless the tunnel has it; also where the greeting never began

            self._spawn(self._greet(carrier)).add_done_callback(close)

    async def _greet(self, carrier: socket.socket) -> None:
        """Read the HELLO of a new carrier and, if it is ours, hand it to the tunnel."""
        loop = asyncio.get_running_loop()
        carrier.setblocking(False)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                try:
                    client = await self._read_hello(carrier)
                except ProtocolError as exc:
                    log.warning("a carrier was refused: %s", exc)
                    await loop.sock_sendall(carrier, exc.reply)
                    return
                if refusal := self._attach(client, carrier):
                    await loop.sock_sendall(carrier, refusal)

    async def _read_hello(self, carrier: socket.socket) -> hello.Hello:
        loop = asyncio.get_running_loop()
        data = b""
        while (client := hello.take_hello(data)) is None:
            more = await loop.sock_recv(carrier, hello.HELLO_BYTES - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        self._believe(client)
        return client

    def _believe(self, client: hello.Hello) -> None:
        """ProtocolError: it is not the session's.  A standing agent is the first one's until that
        has ended; whoever reaches its port may be that (docs/architecture.md).
        ConnectionResetError: it may come again at once, to the next session."""
        digest = hashlib.sha256(client.secret).digest()
        if self._known is None:
            self._known = client.session, digest
        session, expected = self._known
        if self._settings.session is None and client.session != session:
            if self._has_left:  # and its carrier's end is not heard of yet: the next one's now
                self._end(f"{self._holder} has left")
                raise ConnectionResetError
            raise ProtocolError(
                f"{self._holder} has the agent", reply=hello.make_in_use(self._holder)
            )
        if client.session != session or not hmac.compare_digest(digest, expected):
            raise ProtocolError(
                "the client does not know the session's secret",
                reply=hello.make_refusal(hello.Code.WRONG_SECRET),
            )

    def _attach(self, client: hello.Hello, carrier: socket.socket) -> bytes:
        """Make it the tunnel's carrier; returns b"", or the refusal that is still to be sent.

        A newer carrier of the same client replaces the older one, which the client has given up."""
        welcome = hello.make_welcome(self.tunnel.detach())
        try:
            self.tunnel.attach(carrier.fileno(), client.received, welcome)
        except OSError as exc:
            code = hello.Code.TOO_LATE if exc.errno == errno.ERANGE else hello.Code.BROKEN
            log.warning("a carrier was refused: %s", exc)
            if self._settings.session is None and not self.attached.is_set():
                self._known = None  # it comes back from a session that is over
            return hello.make_refusal(code)
        carrier.detach()
        self.attached.set()
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        return b""

    def _on_events(self) -> None:
        for event in self._engine.take_events():
            if isinstance(event, ServiceOpened):
                self._spawn(self._hold(event) if event.name == HOLDER else serve_service(event))
            elif isinstance(event, TunnelBroken):
                self._end(f"the tunnel broke: {os.strerror(event.error)}")
            elif isinstance(event, CarrierLost) and not self.tunnel.stats()["attached"]:
                # else a newer carrier is there already
                log.info("carrier lost after %d bytes, errno %d", event.received, event.error)
                if self._has_left:
                    self._end(f"{self._holder} has left")
                self._expect_client(self._settings.resume_timeout_s, "the client has been gone")
            elif isinstance(event, Listening | DialRefused) and self.on_exposed is not None:
                self.on_exposed(event)

    async def _hold(self, event: ServiceOpened) -> None:
        """Who has the session, as long as the stream is open; it is left when that ends."""
        loop = asyncio.get_running_loop()
        with contextlib.closing(socket.socket(fileno=event.fd)) as stream:
            said = await loop.sock_recv(stream, 4 * hello.HOLDER_CHARS)
            self._holder = hello.printable(said.decode(errors="replace")) or self._holder
            log.info("%s has the session", self._holder)
            while said:
                said = await loop.sock_recv(stream, 1)
        self._has_left = True
        if self.tunnel.stats()["attached"]:
            self._expect_client(LEAVE_S, f"{self._holder} has left")
        else:  # its carrier's end was heard of first
            self._end(f"{self._holder} has left")


async def serve(settings: Settings) -> str:
    """Run the agent until its session is over, a standing one until it is told to stop; returns
    the reason in words.  Nothing of a session is there for the next."""
    async with accepting(listen(settings.carrier_port)) as carriers:
        while True:
            with contextlib.ExitStack() as stack:
                plain = stack.enter_context(listen(settings.socks_port))
                engine = Engine()
                stack.callback(engine.close)
                SocksServer(engine, plain)
                session = Session(settings, engine)
                reason = await session.run(carriers)
            if settings.session is not None or session.told_to_stop:
                return reason
            log.info("%s; waiting for the next", reason)
