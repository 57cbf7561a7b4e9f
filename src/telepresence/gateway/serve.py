"""Let the laptop's carrier in, then turn the container's traffic to it, then open ports.

It says lines, and hears one:
    listening     a carrier may come
    ready         what leaves the container goes to the pod
          open    (heard) the pod's ports are free now
    say TEXT      for the user
    open          ports lead where they were asked to

Called by: gateway.__main__.
Owns: the engine, the carrier port, the doors that the rules lead to.
Never: opens a way out before the pod has been asked for its names.
"""

import asyncio
import contextlib
import dataclasses
import logging
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from telepresence.agent.serve import Session, Settings, accepting, listen
from telepresence.errors import MethodError, TunnelError
from telepresence.exposure import Exposure
from telepresence.fastpath import DatagramRedirect, Engine, RedirectServer, Tunnel
from telepresence.gateway.hosts import has_ipv6, merge_hosts
from telepresence.gateway.rules import (
    Doors,
    make_default_route,
    make_loop_route,
    make_mark_rule,
    make_rules,
    take_error,
)
from telepresence.to_pod import ToPod
from telepresence.tunnel.exposed import ExposedPorts
from telepresence.tunnel.service import open_service, read_service
from telepresence.values import Port

log = logging.getLogger(__name__)

NFT = "/usr/sbin/nft"
BACKLOG = 512
IPV6_TRANSPARENT = 75  # linux/in6.h; Python's socket has no name for it
IP_TRANSPARENT = 19  # linux/in.h
AF_NETLINK, NETLINK_ROUTE = 16, 0  # netlink(7), as Python has them on Linux alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line says."""

    settings: Settings
    expose: tuple[Port, ...] = ()  # here the container's is the laptop's
    from_pod: tuple[int, ...] = ()
    to_pod: tuple[int, ...] = ()
    ready_when_listening: bool = False
    back_port: int = 0  # for the carrier of the laptop's own ports; 0: there are none
    container_to_host: tuple[int, ...] = ()


def _doors(family: int, host: str) -> tuple[socket.socket, socket.socket]:
    """For connections and for datagrams."""
    datagrams = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET:
        datagrams.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
    else:
        datagrams.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
    datagrams.bind((host, 0))
    return socket.create_server((host, 0), family=family, backlog=BACKLOG), datagrams


def open_doors(engine: Engine, tunnel: Tunnel) -> Doors:
    """On loopback of both families, or of IPv4 where the container has no other."""
    ports = []
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            connections, datagrams = _doors(family, host)
        except OSError:
            if family == socket.AF_INET:
                raise
            continue
        ports += [door.getsockname()[1] for door in (connections, datagrams)]
        RedirectServer(engine, connections, tunnel=tunnel)
        DatagramRedirect(engine, datagrams, tunnel=tunnel)
    return Doors(**dict(zip(("tcp4", "udp4", "tcp6", "udp6"), ports, strict=False)))


def _tell_kernel(*messages: bytes) -> None:
    with socket.socket(AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE) as kernel:
        for message in messages:
            kernel.send(message)
            if error := take_error(kernel.recv(4096)):
                raise OSError(error, os.strerror(error))


def close_other_ways(doors: Doors, *, ipv6: bool, laptops: tuple[int, ...] = ()) -> None:
    """The rules and routes.  MethodError: this kernel has not what they need."""
    loopback = socket.if_nametoindex("lo")
    messages = []
    families = [socket.AF_INET, socket.AF_INET6] if doors.tcp6 else [socket.AF_INET]
    for family in families:
        messages += [make_loop_route(family, loopback), make_mark_rule(family)]
    if ipv6 and doors.tcp6:
        messages.append(make_default_route(loopback))
    try:
        _tell_kernel(*messages)
        subprocess.run(
            [NFT, "-f", "-"], input=make_rules(doors, laptops), text=True, check=True,
            capture_output=True,
        )  # fmt: skip
    except subprocess.CalledProcessError as exc:
        raise MethodError(f"nft: {exc.stderr.strip().splitlines()[0]}") from exc
    except OSError as exc:
        raise MethodError(f"routes: {exc.strerror}") from exc


def _tell(line: str) -> None:
    print(line, flush=True)


async def _hear(word: str) -> None:
    """TunnelError: the laptop has gone."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    if (await reader.readline()).decode().strip() != word:
        raise TunnelError(f"the laptop has gone before it said {word}")


async def _turn(wanted: Wanted, engine: Engine, session: Session) -> None:
    """All of the container's network, once the laptop is there."""
    await session.attached.wait()
    names = await read_service(session.tunnel, "names")
    resolv_conf, hosts, *_ = names.decode(errors="replace").split("\0")
    hostname = socket.gethostname()
    own = Path("/etc/hosts")
    own.write_text(merge_hosts(own.read_text(), hosts, hostname))
    Path("/etc/resolv.conf").write_text(resolv_conf)
    doors = open_doors(engine, session.tunnel)
    ipv6 = has_ipv6(hosts, hostname)
    close_other_ways(doors, ipv6=ipv6, laptops=wanted.container_to_host)
    _tell("ready")


async def _open_ports(
    wanted: Wanted, engine: Engine, session: Session, stack: contextlib.AsyncExitStack
) -> None:
    """Those that lead here and to the pod, until the stack ends."""
    await _hear("open")
    same = tuple(Port(laptop=number, pod=number) for number in wanted.to_pod)
    await stack.enter_async_context(ToPod(same, engine, session.tunnel))
    exposed = ExposedPorts(session.tunnel)
    session.on_exposed = exposed.on_event

    async def service(name: str) -> socket.socket:
        return await open_service(session.tunnel, name)

    exposure = Exposure(wanted, exposed.open, service, lambda text: _tell(f"say {text}"))
    await stack.enter_async_context(exposure)
    _tell("open")


async def _back(wanted: Wanted, stack: contextlib.AsyncExitStack) -> list["asyncio.Task[str]"]:
    """The agent of the laptop, which asks it to listen; in an engine of its own."""
    if not wanted.back_port:
        return []
    settings = dataclasses.replace(wanted.settings, carrier_port=wanted.back_port)
    carriers = await stack.enter_async_context(accepting(listen(settings.carrier_port, "0.0.0.0")))
    engine = Engine()
    stack.callback(engine.close)
    return [asyncio.ensure_future(Session(settings, engine).run(carriers))]


async def serve(wanted: Wanted) -> str:
    """Run until the laptop has gone; returns why."""
    async with contextlib.AsyncExitStack() as stack:
        listener = listen(wanted.settings.carrier_port, "0.0.0.0")
        carriers = await stack.enter_async_context(accepting(listener))
        engine = Engine()
        stack.callback(engine.close)
        session = Session(wanted.settings, engine, role="laptop")
        running = [asyncio.ensure_future(session.run(carriers)), *await _back(wanted, stack)]
        _tell("listening")

        async def prepare() -> str:
            await _turn(wanted, engine, session)
            await _open_ports(wanted, engine, session, stack)
            return ""

        preparing = asyncio.ensure_future(prepare())
        await asyncio.wait([*running, preparing], return_when=asyncio.FIRST_COMPLETED)
        if preparing.done():
            preparing.result()
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        preparing.cancel()
        return next(task.result() for task in running if task.done())
