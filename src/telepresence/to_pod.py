"""Ports of this machine's localhost that lead to the pod's localhost.

Called by: session; gateway, where this machine is the proxy container.
Owns: the listeners here, and each connection until the engine has it.
Never: sees a byte of a connection.
"""

import asyncio
import contextlib
import logging
import socket
import struct

from telepresence.errors import MethodError
from telepresence.fastpath import Engine, Relay, Tunnel
from telepresence.values import Port

log = logging.getLogger(__name__)

REPLY_BYTES = 10  # RFC 1928 section 6, with the IPv4 address that the agent gives
TIMEOUT_S = 30.0
_RESET = struct.pack("ii", 1, 0)  # socket(7), SO_LINGER: closing resets


def request(port: int) -> bytes:
    """RFC 1928 section 4: CONNECT to 127.0.0.1."""
    return b"\5\1\0\1" + socket.inet_aton("127.0.0.1") + port.to_bytes(2, "big")


class ToPod:
    """async with ToPod(ports, engine, tunnel): ..."""

    def __init__(self, ports: tuple[Port, ...], engine: Engine, tunnel: Tunnel) -> None:
        self._ports, self._engine, self._tunnel = ports, engine, tunnel
        self._listeners: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "ToPod":
        """MethodError: a port is taken here."""
        for port in self._ports:
            try:
                listener = socket.create_server(("127.0.0.1", port.laptop))
            except OSError as exc:
                await self.__aexit__()
                raise MethodError(
                    f"--to-pod {port.pod}: cannot listen on "
                    f"127.0.0.1:{port.laptop}: {exc.strerror}",
                    hint="end the program that has it, or leave that port to it",
                ) from exc
            listener.setblocking(False)
            self._listeners.append(listener)
            self._spawn(self._accept(listener, port.pod))
        return self

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket, port: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError as exc:  # out of descriptors: the next one may have better luck
                log.warning("accepting for --to-pod %d: %s", port, exc)
                await asyncio.sleep(0.1)
                continue
            self._spawn(self._join(client, port))

    async def _join(self, client: socket.socket, port: int) -> None:
        """Hand both ends to the engine when the pod has connected; else reset."""
        loop = asyncio.get_running_loop()
        reply = b""
        with contextlib.closing(client), contextlib.suppress(OSError, TimeoutError):
            stream = socket.socket(fileno=self._tunnel.open_stream(request(port)))
            with contextlib.closing(stream):
                async with asyncio.timeout(TIMEOUT_S):
                    while len(reply) < REPLY_BYTES:
                        more = await loop.sock_recv(stream, REPLY_BYTES - len(reply))
                        if not more:
                            break
                        reply += more
                if reply[:2] == b"\5\0" and len(reply) == REPLY_BYTES:
                    client.setblocking(False)
                    Relay(self._engine, client.detach(), stream.detach())
                    return
                log.info("--to-pod %d: the pod refuses, code %s", port, reply[1:2].hex())
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for listener in self._listeners:
            listener.close()
