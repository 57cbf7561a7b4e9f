"""inject-tcp: a preloaded library, and a supervisor for the programs that it cannot enter, send the
process's connections and names to a SOCKS server.

Called by: session.
Owns: the SOCKS server on loopback and the settings file of the shim, until the context ends.
Never: needs a privilege; lets another user of the laptop through (the server asks for a password
that only the settings file has).
"""

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from telepresence.fastpath import Engine, SocksServer, Tunnel
from telepresence.method.sip import system_mirror, unprotected
from telepresence.method.substitutes import put_substitutes
from telepresence.method.supervise import supervised
from telepresence.values import Environment, Launch, Plan, SearchList

log = logging.getLogger(__name__)

SHIM = Path(__file__).with_name(
    "libtelepresence-preload.dylib" if sys.platform == "darwin" else "libtelepresence-preload.so"
)
PRELOAD = "DYLD_INSERT_LIBRARIES" if sys.platform == "darwin" else "LD_PRELOAD"
SETTINGS = "TORSOCKS_CONF_FILE"  # the shim's; torsocks reads the same file


def notes(plan: Plan) -> tuple[str, ...]:
    """What the user should know before the start: on macOS, why the first one takes longer."""
    mirror = system_mirror() if plan.shim is not None else None
    if mirror is None or mirror.is_made():
        return ()
    why = "macOS keeps the library out of its own programs"
    return (f"{why}: copies of them are made in {mirror.folder}, this once",)


NO_SEARCH = SearchList()
LABELS_SIZE = 1 << 20  # room for 26,000 sockets (preload/label.h), on disk only where it is used


def write_settings(
    path: Path, *, port: int, username: str, password: str, search: SearchList = NO_SEARCH
) -> None:
    """The shim's settings, and the file by which processes tell each other their sockets' peers."""
    lines = (
        "TorAddress 127.0.0.1",
        f"TorPort {port}",
        f"SOCKS5Username {username}",
        f"SOCKS5Password {password}",
        "TelepresencePipeline 1",  # our server reads greeting, password and request in one piece
        "AllowInbound 1",
        "AllowOutboundLocalhost 1",
        *(f"TelepresenceSearch {domain}" for domain in search.domains),
        f"TelepresenceNdots {search.ndots}",
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
    labels = os.open(f"{path}.labels", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.truncate(labels, LABELS_SIZE)
    os.close(labels)


@contextlib.asynccontextmanager
async def prepare(
    plan: Plan, environment: Environment, engine: Engine, tunnel: Tunnel
) -> AsyncIterator[Launch]:
    """Everything the process needs; undone at the end."""
    directory = Path(tempfile.mkdtemp(prefix="telepresence-"))
    username, password = "telepresence", secrets.token_urlsafe(24)
    server = SocksServer(
        engine,
        socket.create_server(("127.0.0.1", 0), backlog=512),
        tunnel=tunnel,
        username=username,
        password=password,
    )
    try:
        settings = directory / "preload.conf"
        write_settings(
            settings,
            port=server.port,
            username=username,
            password=password,
            search=environment.search,
        )
        environ = dict(environment.process)
        if plan.shim is not None:
            before = environ.get(PRELOAD.encode())
            shim = os.fsencode(plan.shim)
            environ[PRELOAD.encode()] = shim + b":" + before if before else shim
        environ[SETTINGS.encode()] = os.fsencode(settings)
        log.info("the SOCKS server listens on 127.0.0.1:%d", server.port)
        launch = put_substitutes(
            Launch(program=plan.program, argv=plan.argv, environ=environ),
            directory / "bin",
            plan.method,
        )
        if (mirror := system_mirror()) is not None:
            launch = await asyncio.to_thread(unprotected, launch, mirror)
        if plan.supervisor is None:
            yield launch
        else:
            with supervised(launch, plan.supervisor, settings) as launch:
                yield launch
    finally:
        server.close()
        shutil.rmtree(directory, ignore_errors=True)
