"""What a carrier is to the keeper, before the engine has it: a way to greet the agent.

Called by: tunnel/keeper.py.
Owns: nothing; each carrier owns its connection until the tunnel has taken it.
Never: carries a user's byte.
"""

import asyncio
import socket
from typing import Protocol, Self

from telepresence.fastpath import Tunnel

LOOPBACK = "127.0.0.1"


class Carrier(Protocol):
    """A connection to the agent's carrier port.  OSError: it broke."""

    async def send(self, data: bytes) -> None:
        """All of it."""

    async def recv(self, size: int) -> bytes:
        """At most `size` bytes; b"": the other side has closed it."""

    def attach(self, tunnel: Tunnel, peer_received: int) -> None:
        """Give it to the tunnel, for good."""

    def close(self) -> None:
        """Twice, and after attach(), is harmless."""


class SocketCarrier:
    """A carrier through a port-forward's listener on this machine."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    @classmethod
    async def connect(cls, port: int) -> Self:
        connection = socket.socket()
        try:
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, (LOOPBACK, port))
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def recv(self, size: int) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self._socket, size)

    def attach(self, tunnel: Tunnel, peer_received: int) -> None:
        tunnel.attach(self._socket.fileno(), peer_received)
        self._socket.detach()

    def close(self) -> None:
        self._socket.close()
