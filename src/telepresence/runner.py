"""Run the user's process and say how it ended.

Called by: session.
Owns: the process, until it has ended.
Never: reads or writes its terminal; outlives it.
"""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from telepresence.descendants import MARK, end_all
from telepresence.errors import TelepresenceError
from telepresence.terminal import Terminal
from telepresence.values import ExitStatus, Launch

log = logging.getLogger(__name__)

REAPER = Path(__file__).with_name("telepresence-reaper")  # only Linux has what it is for
REAPER_S = 3.5  # its second phase, for what hears no SIGTERM: reaper/main.c, KILL_MS
GRACE_S = 2.0  # between SIGTERM and SIGKILL; docker stop gives 10, but the terminal is waiting


def terminal_sends_signals() -> bool:
    """Ctrl-C at this terminal reaches the process too, so it is the process's to judge."""
    try:
        return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


class Child:
    """async with Child(launch, session) as child: status = await child.wait()"""

    def __init__(self, launch: Launch, session: str) -> None:
        self._launch, self._session = launch, session
        self._terminal = Terminal()
        self._process: subprocess.Popen[bytes] | None = None
        self._ended: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
        self._pidfd = -1

    async def __aenter__(self) -> "Child":
        """TelepresenceError: the program is there but cannot be started."""
        launch = self._launch
        try:
            self._process = self._start()
        except OSError as exc:
            raise TelepresenceError(
                f"cannot start {launch.program}: {exc.strerror}",
                hint="does it run without telepresence?",
            ) from exc
        self._look(self._process)
        log.info("started %s as process %d", launch.program, self._process.pid)
        return self

    def _start(self) -> "subprocess.Popen[bytes]":
        """Below the reaper, where there is one.  OSError: the program cannot be executed."""
        launch = self._launch
        environ = {**launch.environ, MARK.encode(): self._session.encode()}
        if not REAPER.exists():
            return subprocess.Popen(
                launch.argv, executable=launch.program, env=environ, pass_fds=launch.pass_fds
            )
        why, report = os.pipe()
        words = (str(REAPER), str(report), f"{GRACE_S * 1000:.0f}", launch.program)
        try:
            process = subprocess.Popen(
                (*words, *launch.argv), env=environ, pass_fds=(*launch.pass_fds, report)
            )
        finally:
            os.close(report)
        with os.fdopen(why, "rb") as file:
            number = int.from_bytes(file.read(), sys.byteorder)
        if number:
            process.wait()
            raise OSError(number, os.strerror(number))
        return process

    def _look(self, process: subprocess.Popen[bytes]) -> None:
        """Have _on_end() called: by a descriptor where there is pidfd_open(2), else by a thread."""
        loop = asyncio.get_running_loop()
        if hasattr(os, "pidfd_open"):
            self._pidfd = os.pidfd_open(process.pid)
            loop.add_reader(self._pidfd, self._on_end)
            return

        def wait() -> None:
            process.wait()
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
                loop.call_soon_threadsafe(self._on_end)

        threading.Thread(target=wait, name=f"process {process.pid}", daemon=True).start()

    def _on_end(self) -> None:
        assert self._process is not None
        code = self._process.wait()
        self._stop_looking()
        log.info("the process ended: %d", code)
        self._ended.set_result(ExitStatus(code=code if code >= 0 else 128 - code))

    def _stop_looking(self) -> None:
        if self._pidfd != -1:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    async def wait(self) -> ExitStatus:
        return await asyncio.shield(self._ended)

    async def __aexit__(self, *_: object) -> None:
        """End it if it is still there, and whatever it has started."""
        assert self._process is not None
        # The reaper needs both its phases for what does not want to end.
        for number, grace_s in ((signal.SIGTERM, GRACE_S + REAPER_S), (signal.SIGKILL, GRACE_S)):
            if self._ended.done():
                break
            log.info("ending process %d with %s", self._process.pid, number.name)
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
            await asyncio.wait([self._ended], timeout=grace_s)
        self._stop_looking()
        was_killed = not self._ended.done() or self._ended.result().code > 128
        self._terminal.restore(settings_too=was_killed)
        left = await asyncio.to_thread(end_all, self._session, GRACE_S)
        if left:
            log.info("ended %d processes that the process had left", left)
