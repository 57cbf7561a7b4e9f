"""Read one of the agent's named services to its end.

Called by: tunnel/keeper.py.
Owns: the stream's socket.
Never: trusts a length; reads more than LIMIT_BYTES.
"""

import asyncio
import socket

from telepresence.errors import ProtocolError, TunnelError
from telepresence.fastpath import Tunnel

LIMIT_BYTES = 16 * 2**20  # an environment is 2 MiB at most: execve(2), a quarter of the stack
TIMEOUT_S = 20.0
_REPLY_BYTES = 10  # RFC 1928 section 6, with the IPv4 address that the agent gives here


async def open_service(tunnel: Tunnel, name: str) -> socket.socket:
    """A stream past its reply, which the caller owns.  TunnelError: it could not be had."""
    loop = asyncio.get_running_loop()
    stream = socket.socket(fileno=tunnel.open_service(name))
    reply = b""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            while len(reply) < _REPLY_BYTES and (
                more := await loop.sock_recv(stream, _REPLY_BYTES - len(reply))
            ):
                reply += more
    except (TimeoutError, ConnectionError) as exc:
        stream.close()
        raise TunnelError(f"the agent's {name} could not be opened: {exc!r}") from exc
    except BaseException:
        stream.close()
        raise
    if len(reply) < _REPLY_BYTES or reply[:2] != b"\5\0":
        stream.close()
        raise TunnelError(f"the agent does not offer the service {name}: {reply!r}")
    return stream


async def read_service(tunnel: Tunnel, name: str) -> bytes:
    """All that it says.  ProtocolError: no such service; TunnelError: too late or too long."""
    loop = asyncio.get_running_loop()
    data = bytearray()
    with socket.socket(fileno=tunnel.open_service(name)) as stream:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                while more := await loop.sock_recv(stream, 65_536):
                    data += more
                    if len(data) > LIMIT_BYTES:
                        raise TunnelError(f"the agent's {name} is longer than {LIMIT_BYTES} bytes")
        except (TimeoutError, ConnectionError) as exc:
            raise TunnelError(f"the agent's {name} could not be read: {exc!r}") from exc
    if len(data) < _REPLY_BYTES or data[:2] != b"\5\0":
        raise ProtocolError(f"the agent does not know the service {name}: {bytes(data[:10])!r}")
    return bytes(data[_REPLY_BYTES:])
