"""The agent's named services: streams that the laptop opens to the agent itself.

Called by: serve.py, one task a stream.
Owns: the stream's socket, until the service is done.
Never: runs what the laptop names; only what stands in SERVICES.
"""

import asyncio
import contextlib
import logging
import pathlib
import socket
from collections.abc import Awaitable, Callable

from telepresence.agent.snapshots import snapshots
from telepresence.fastpath import ServiceOpened

log = logging.getLogger(__name__)

SFTP_SERVER = "/usr/lib/openssh/sftp-server"  # Debian's place; pod-image/contents has it
SEND_BYTES = 1 << 20  # several answers of 64 KiB at once
READY_PORT = 9041  # the one port that is not on loopback: kubelet asks it
PROBE_TIMEOUT_S = 5.0  # longer than kubelet waits: cluster/manifest.py
ANY_USER = pathlib.Path(__file__).with_name("libtelepresence-anyuid.so")  # sftp/anyuid.c


async def environ(stream: socket.socket) -> None:
    """The container's environment as `K=V` strings, each ended by NUL (proc(5), /proc/pid/environ).

    What the kernel was given: os.environ also has what Python's start-up adds (PEP 538)."""
    data = pathlib.Path("/proc/self/environ").read_bytes()
    await asyncio.get_running_loop().sock_sendall(stream, data)


async def mounts(stream: socket.socket) -> None:
    """The container's mounts, as proc(5) has them in /proc/pid/mountinfo."""
    data = pathlib.Path("/proc/self/mountinfo").read_bytes()
    await asyncio.get_running_loop().sock_sendall(stream, data)


async def sftp(stream: socket.socket) -> None:
    """The container's file system: sftp-server(8) has the stream to itself, until its end."""
    stream.setblocking(True)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
    fd = stream.fileno()
    server = await asyncio.create_subprocess_exec(
        SFTP_SERVER, "-e", stdin=fd, stdout=fd, env={"LD_PRELOAD": str(ANY_USER)}
    )
    stream.close()
    try:
        await server.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.kill()


async def names(stream: socket.socket) -> None:
    """resolv.conf(5) and hosts(5) of the container, each ended by NUL."""
    files = (pathlib.Path("/etc/resolv.conf"), pathlib.Path("/etc/hosts"))
    data = b"".join((path.read_bytes() if path.exists() else b"") + b"\0" for path in files)
    await asyncio.get_running_loop().sock_sendall(stream, data)


async def ready(stream: socket.socket) -> None:
    """Answer the pod's readiness probe as the laptop does, for as long as it holds the stream: it
    gets a byte for each probe, and gives `1` or `0` back."""
    loop = asyncio.get_running_loop()
    waiting: list[asyncio.Future[bool]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told: asyncio.Future[bool] = loop.create_future()
        broken = (OSError, EOFError, asyncio.LimitOverrunError)  # or late, which is an OSError
        with contextlib.closing(writer), contextlib.suppress(*broken):
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await reader.readuntil(b"\r\n\r\n")
                waiting.append(told)
                await loop.sock_sendall(stream, b"?")
                status = b"200 OK" if await told else b"503 Service Unavailable"
                writer.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)
                await writer.drain()

    server = await asyncio.start_server(answer, port=READY_PORT, limit=1 << 14)
    try:
        while said := await loop.sock_recv(stream, 64):
            for told in waiting:
                if not told.done():
                    told.set_result(said.endswith(b"1"))
            waiting.clear()
    finally:
        server.close()


SERVICES: dict[str, Callable[[socket.socket], Awaitable[None]]] = {
    "environ": environ,
    "mounts": mounts,
    "names": names,
    "sftp": sftp,
    "snapshots": snapshots,
    "ready": ready,
}


async def serve_service(event: ServiceOpened) -> None:
    """Run the service that was asked for; an unknown name gets an end of file."""
    with contextlib.closing(socket.socket(fileno=event.fd)) as stream:
        service = SERVICES.get(event.name)
        if service is None:
            log.warning("the client asked for the unknown service %r", event.name)
            return
        try:
            await service(stream)
        except OSError as exc:
            log.warning("service %s: %s", event.name, exc)
