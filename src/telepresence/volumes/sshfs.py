"""One sshfs: a directory of the pod on a directory of the laptop, over a stream of the tunnel.

Called by: volumes/tree.py.
Owns: the process and its mount, until close().
Never: sees a byte of a file; starts ssh.
"""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from pathlib import Path

from telepresence.errors import MethodError
from telepresence.fuse import find_sshfs
from telepresence.proc import bound_to_us
from telepresence.values import MountPoint
from telepresence.volumes.mounting import wait_mounted

log = logging.getLogger(__name__)

READY_TIMEOUT_S = 10.0  # mounting takes 10 ms; a machine that swaps takes its time
END_TIMEOUT_S = 1.0
# Between sshfs and the tunnel: sftp/relay.h, sftp/ahead.h.
RELAY = Path(__file__).with_name("telepresence-sftp")
REFUSE = Path(__file__).with_name("libtelepresence-refuse.so")  # sftp/refuse.c
# A pod that is silent for so long is given up until it is heard again.  A carrier that is lost is
# renewed within 2 s if it can be; the rest is for a slow disk in the pod.
SILENCE_S = 15.0
# Room for several answers of 64 KiB at once: a large file comes 1.4 x as fast; bench/volumes.py.
SEND_BYTES = 1 << 20
# follow_symlinks: a link is followed in the pod, as a program there would follow it; the laptop's
# kernel never sees one and so cannot be led out of the mount.  The dcache_ ones: how old what is
# shown may be; the kernel adds a second of its own (sshfs(1), mount.fuse3(8)).
OPTIONS = ("passive", "follow_symlinks", "no_check_root", "delay_connect", "dcache_timeout=2")


# What macFUSE adds: no `._` files in the pod, no icon on the desktop, the pod decides what is
# allowed (macFUSE, "Mount options").  Its sshfs may be 2.10, Homebrew's, with older words.
_MACOS_OPTIONS = ("noappledouble", "nobrowse", "defer_permissions")
_OLD_WORDS = {"passive": "slave", "dcache_timeout=2": "cache_timeout=2"}


def options_for(
    mount: MountPoint, *, is_shared: bool, platform: str = sys.platform, is_old: bool = False
) -> str:
    """What comes after -o.  is_old: sshfs 2, which needs the words that it knows."""
    own = _MACOS_OPTIONS if platform == "darwin" else ()
    options = [_OLD_WORDS.get(word, word) if is_old else word for word in (*OPTIONS, *own)]
    if is_shared:
        options.append("allow_other")
    options += [f"uid={os.geteuid()}", f"gid={os.getegid()}"]
    if mount.read_only:
        options.append("ro")
    return ",".join(options)


async def _is_old(sshfs: str) -> bool:
    """Debian's is not."""
    if sys.platform == "linux":
        return False
    asked = await asyncio.create_subprocess_exec(
        sshfs, "-V", stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await asked.communicate()
    return b"SSHFS version 2." in said


def modes(mount: MountPoint, mounts: tuple[MountPoint, ...]) -> str:
    """What of a mount may be changed, for sftp/refuse.c; nothing where the kernel sees to it.

    Kubernetes allows no colon in the path of a mount (Pod v1 core, VolumeMount)."""
    if mount.read_only:
        return ""
    top = mount.path.rstrip(b"/")
    inside = (m for m in mounts if m.path == mount.path or m.path.startswith(top + b"/"))
    paths = {os.fsdecode(m.path.removeprefix(top)).rstrip("/"): m.read_only for m in inside}
    return "".join(f"{'r' if frozen else 'w'}{path}:" for path, frozen in sorted(paths.items()))


async def _start(
    argv: list[str], stdin: socket.socket, stdout: socket.socket, **more: str
) -> Process:
    for sock in (stdin, stdout):
        sock.setblocking(True)
    environ = {**os.environ, **more}
    if sys.platform == "linux":
        preloaded = filter(None, (environ.get("LD_PRELOAD"), str(REFUSE)))
        environ["LD_PRELOAD"] = ":".join(preloaded)
    return await asyncio.create_subprocess_exec(
        *bound_to_us(argv), stdin=stdin.fileno(), stdout=stdout.fileno(), stderr=PIPE,
        start_new_session=True,  # Ctrl-C at the terminal is not for it
        env=environ,
    )  # fmt: skip


class Sshfs:
    """mount = await Sshfs.start(...); await mount.connect(stream); await mount.ready(); ...
    await mount.close()

    It mounts at once, whether or not it has its stream: what is asked of it until then waits."""

    def __init__(
        self, process: Process, near: socket.socket, place: Path, asked: tuple[MountPoint, str]
    ) -> None:
        self._process, self._near, self.place, self._asked = process, near, place, asked
        self._relay: Process | None = None
        self._said = b""
        self._listener = asyncio.ensure_future(self._listen())

    @classmethod
    async def start(
        cls,
        pod: str,
        mount: MountPoint,
        place: Path,
        mounts: tuple[MountPoint, ...],
        *,
        is_shared: bool = False,
    ) -> "Sshfs":
        """is_shared: other users may look into it, whom its directory lets in.

        MethodError: it cannot be started."""
        program = find_sshfs() or "sshfs"
        options = options_for(mount, is_shared=is_shared, is_old=await _is_old(program))
        words = [program, "-f", "-o", options, f"{pod}:{os.fsdecode(mount.path)}", str(place)]
        allowed = modes(mount, mounts)
        near, far = socket.socketpair()
        try:
            with far:
                far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
                process = await _start(words, far, far, TELEPRESENCE_MODES=allowed)
        except BaseException as exc:
            near.close()
            if isinstance(exc, OSError):
                raise MethodError(f"cannot start sshfs: {exc.strerror}") from exc
            raise
        return cls(process, near, place, (mount, allowed))

    def fits(self, mount: MountPoint, mounts: tuple[MountPoint, ...]) -> bool:
        """Whether it was started for just these."""
        return self._asked == (mount, modes(mount, mounts))

    async def connect(self, stream: socket.socket, volumes: tuple[MountPoint, ...]) -> None:
        """Let it speak with the far end of the stream, which is used up.  MethodError."""
        words = [str(RELAY), f"{SILENCE_S:g}", *(os.fsdecode(volume.path) for volume in volumes)]
        with stream, self._near:
            for end in (stream, self._near):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
            try:
                self._relay = await _start(words, self._near, stream)
            except OSError as exc:
                raise MethodError(f"cannot start {RELAY}: {exc.strerror}") from exc

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            log.info("sshfs %s: %s", self.place, line.decode(errors="replace").rstrip())
            self._said = line

    async def ready(self) -> None:
        """Wait until it is mounted.  MethodError: it ended instead, or took too long."""
        ended = asyncio.ensure_future(self._process.wait())
        mounted = asyncio.ensure_future(wait_mounted(self.place))
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await asyncio.wait([ended, mounted], return_when=asyncio.FIRST_COMPLETED)
            if mounted.done():
                return mounted.result()
            await self._listener
            why = self._said.decode(errors="replace").strip() or ended.result()
            raise MethodError(f"cannot mount the volumes on {self.place}: {why}")
        except TimeoutError as exc:
            raise MethodError(f"sshfs did not mount {self.place} in time") from exc
        finally:
            ended.cancel()
            mounted.cancel()

    async def close(self) -> None:
        """End it, with whatever is open in it; twice is harmless."""
        for end in (self._process.terminate, self._process.kill):
            with contextlib.suppress(ProcessLookupError):
                end()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_TIMEOUT_S):
                    await self._process.wait()
                    break
        self._near.close()
        if self._relay is not None:
            await self._relay.wait()  # it ends with either of its ends
        self._listener.cancel()
        await asyncio.wait([self._listener])
