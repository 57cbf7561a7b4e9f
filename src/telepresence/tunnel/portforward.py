"""Keep one `kubectl port-forward` (or `oc`) running and say on which port it listens.

Called by: tunnel/keeper.py.
Owns: the child process, until close().
Never: reads payload bytes; prints to the user.
"""

import asyncio
import contextlib
import logging
import re
from asyncio.subprocess import PIPE, Process

from telepresence.errors import TunnelError
from telepresence.proc import bound_to_us

log = logging.getLogger(__name__)

START_TIMEOUT_S = 20.0  # an API server behind a slow VPN; kubectl itself gives up after 32 s
# House: the one line of kubectl's that is parsed.  The other way to know the port is to choose it
# beforehand, and then another process may take it in between.
_LISTENING = re.compile(rb"Forwarding from 127\.0\.0\.1:(\d+) -> ")


class PortForward:
    """A running port-forward to one port of the pod."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.port = 0
        self._said: list[str] = []
        self._readers = [
            asyncio.ensure_future(self._listen(process.stderr)),
        ]

    @classmethod
    async def start(
        cls, kubectl: str, *, context: str, namespace: str, pod: str, port: int
    ) -> "PortForward":
        """TunnelError: it ended, or did not listen in time; the text is its own."""
        argv = [
            kubectl, f"--context={context}", f"--namespace={namespace}",
            "port-forward", "--address=127.0.0.1", f"pod/{pod}", f":{port}",
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *bound_to_us(argv), stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=PIPE,
            start_new_session=True,  # Ctrl-C at the terminal is not for it
        )  # fmt: skip
        forward = cls(process)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await forward._wait_listening()
        except TimeoutError as exc:
            await forward.close()
            raise TunnelError(
                f"the port-forward to pod {pod} was not up after {START_TIMEOUT_S:.0f} s"
            ) from exc
        except BaseException:
            await forward.close()
            raise
        return forward

    async def _wait_listening(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            if match := _LISTENING.match(line):
                self.port = int(match[1])
                self._readers.append(asyncio.ensure_future(self._listen(self._process.stdout)))
                return
        await self._process.wait()
        await asyncio.wait(self._readers)
        said = " ".join(self._said) or f"exit code {self._process.returncode}"
        raise TunnelError(f"the port-forward ended: {said}")

    async def _listen(self, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None
        while line := await stream.readline():
            text = line.decode(errors="replace").strip()
            log.info("port-forward: %s", text)
            self._said = [*self._said[-4:], text]

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def close(self) -> None:
        """Twice is harmless."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
