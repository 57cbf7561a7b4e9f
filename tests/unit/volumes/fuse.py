"""A real sftp-server behind a pair of sockets, for a real sshfs.

Called by: the tests of this folder.
Owns: the servers that it starts, until close().
Never: an ssh, a pod or a tunnel.
"""

import asyncio
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from telepresence.agent.services import SFTP_SERVER


def need_fuse() -> None:
    for needed in (SFTP_SERVER, "/dev/fuse", shutil.which("sshfs") or "sshfs"):
        if not Path(needed).exists():
            pytest.skip(f"there is no {needed} on this machine")
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as exc:
        pytest.skip(f"/dev/fuse cannot be used here: {exc.strerror}")


class Servers:
    """Each stream that is opened has an sftp-server at its end."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []

    async def open_service(self, name: str) -> socket.socket:
        assert name == "sftp"
        near, far = socket.socketpair()
        with far:
            self._processes.append(subprocess.Popen([SFTP_SERVER], stdin=far, stdout=far))
        near.setblocking(False)
        await asyncio.sleep(0)
        return near

    def close(self) -> None:
        for process in self._processes:
            process.wait(10)
