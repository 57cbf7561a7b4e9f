"""Put both containers together: the proxy container and its way to the pod, then the user's.

Called by: session.
Owns: both containers and the file of variables, until the context ends.
Never: reads what the user's container says; the runner gives it the terminal.
"""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from telepresence.errors import MethodError, TunnelError
from telepresence.fastpath import Engine, Tunnel
from telepresence.journal import Entry
from telepresence.method.container import compose, variables
from telepresence.method.container.engine import (
    BACK_PORT,
    CARRIER_PORT,
    Containers,
    take_places,
)
from telepresence.method.container.hop import Exposing, Hop, Keeping
from telepresence.proc import bound_to_us
from telepresence.values import ContainerRun, Environment, Launch, Plan

log = logging.getLogger(__name__)

START_TIMEOUT_S = 120.0  # the image may have to be pulled
GRACE_S, GRACE_MAX_S = 1, 15  # Telepresence 1's; --stop-timeout asks for more


def containers_of(plan: Plan) -> Containers:
    name = f"telepresence-{plan.session.hex()[:12]}"
    run = plan.container_run
    own = run.name if run is not None else None
    return Containers(program=plan.program, proxy=f"{name}-proxy", user=own or f"{name}-run")


def journal_entry(plan: Plan) -> Entry:
    """What a guard must know to remove them."""
    both = containers_of(plan)
    chosen = {key: value for key, value in plan.environ.items() if key.startswith("DOCKER_")}
    argv = both.remove(both.user, both.proxy)
    return Entry(kind="containers", facts={"argv": argv, "environ": chosen})


async def _ask(argv: list[str], *, may_fail: bool = False, but: str = "") -> str:
    """Standard output of the engine's client.  MethodError: its last line, unless all say `but`."""
    log.debug("running %s", argv)
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    out, err = await process.communicate()
    said = err.decode(errors="replace").strip().splitlines() or ["no reason given"]
    is_fine = may_fail or (but and all(but in line.lower() for line in said))
    if process.returncode and not is_fine:
        raise MethodError(f"{' '.join(argv[:2])}: {said[-1]}", hint="does it work by itself?")
    return out.decode(errors="replace")


async def _exposed(both: Containers, run: ContainerRun) -> tuple[str, ...]:
    """-P: the ports that the user's image exposes, as the proxy container must."""
    if not run.publishes_all:
        return ()
    said = await _ask(both.exposed_ports(run.image), may_fail=True)
    if not said.strip():
        await _ask(both.pull(run.image))
        said = await _ask(both.exposed_ports(run.image))
    return tuple(json.loads(said) or ())


class _Proxy:
    """The proxy container, by the engine's client that stays attached to it."""

    def __init__(self, argv: list[str], say: Callable[[str], None]) -> None:
        self._argv, self._say = argv, say
        self._process: asyncio.subprocess.Process | None = None
        self._said: list[str] = []
        self._logger: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *bound_to_us(self._argv), stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        self._logger = asyncio.ensure_future(self._log())

    async def _log(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        while line := (await self._process.stderr.readline()).decode(errors="replace").strip():
            self._said.append(line)
            log.info("proxy container: %s", line)

    async def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode(errors="replace").strip()

    def _reason(self) -> str:
        said = [line for line in self._said if "--help" not in line]
        return said[-1].removeprefix("gateway: ") if said else "it said nothing"

    def tell(self, word: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())

    async def wait_word(self, word: str) -> None:
        """MethodError: it ended instead."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while (said := await self._line()).startswith("say "):
                    self._say(said.removeprefix("say "))
        except TimeoutError as exc:
            raise MethodError(
                f"the proxy container is not {word} after {START_TIMEOUT_S:.0f} s: "
                f"{self._reason()}",
                hint=f"does {self._argv[0]} run other containers?",
            ) from exc
        if said == word:
            return
        assert self._logger is not None
        await asyncio.wait([self._logger], timeout=GRACE_S)
        if word == "listening":
            raise MethodError(
                f"the proxy container does not start: {self._reason()}",
                hint="its image is the agent's, and the engine must have it or find it "
                "(docs/container.md)",
            )
        raise MethodError(self._reason(), hint="the proxy container said so, and ended")

    async def wait_end(self, keeping: Keeping) -> None:
        assert self._process is not None
        await self._process.wait()
        keeping.fail(TunnelError(f"the proxy container ended: {self._reason()}"))

    async def end(self) -> None:
        """After its container has been removed."""
        if self._process is not None:
            await self._process.wait()
        if self._logger is not None:
            await asyncio.wait([self._logger])


def _write(path: Path, data: bytes) -> Path:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    return path


def _tell_left_out(keys: list[bytes]) -> None:
    for key in keys:
        log.warning("no container can be given the value of %r", key)


def _service(
    plan: Plan, run: ContainerRun, both: Containers, pods: dict[bytes, bytes], directory: Path,
    root: Path | None,
) -> tuple[str, ...]:  # fmt: skip
    text, left_out = variables.decodable(pods)
    _tell_left_out(left_out)
    volume = None if root is None else (root, plan.mount.inside or root)
    made = compose.make_file(
        run, both.proxy, plan.session.hex(), text, dict(plan.environ), volume
    )  # fmt: skip
    file = _write(directory / "compose.json", made)
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    return both.run_service(run, file, is_terminal=is_terminal)


def _launch(
    plan: Plan, run: ContainerRun, both: Containers, environment: Environment, directory: Path,
    root: Path | None,
) -> Launch:  # fmt: skip
    pods = {key: value for key, value in environment.pod.items()
            if root is not None or key != b"TELEPRESENCE_ROOT"}  # fmt: skip
    clients = {os.fsencode(key): os.fsencode(value) for key, value in plan.environ.items()}
    if run.compose:
        argv = _service(plan, run, both, pods, directory, root)
        return Launch(program=argv[0], argv=argv, environ=clients)
    text, named, left_out = variables.divide(pods)
    _tell_left_out(left_out)
    env_file = _write(directory / "variables", text)
    argv = both.run_user(plan, run, env_file, [os.fsdecode(key) for key in named], root)
    return Launch(program=plan.program, argv=argv, environ=clients | named)


async def _detach(launch: Launch, both: Containers) -> Launch:
    """Start it now, which prints its id; what is waited for is its end."""
    process = await asyncio.create_subprocess_exec(
        *launch.argv, stdin=asyncio.subprocess.DEVNULL, env=launch.environ
    )
    if await process.wait():
        raise MethodError("the container did not start", hint="the engine's message is above")
    argv = both.wait()
    return Launch(program=argv[0], argv=argv, environ=launch.environ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """What the session hands over."""

    engine: Engine
    tunnel: Tunnel  # to the pod
    keeping: Keeping
    # Waits until no other pod has the traffic and the pod's files are here: where, if they are.
    settled: Callable[[], Awaitable[Path | None]]
    say: Callable[[str], None]


async def _enter_hops(
    stack: contextlib.AsyncExitStack, plan: Plan, both: Containers, ends: Ends, secret: bytes
) -> None:
    """The way from the container to the pod, and that to the laptop's own ports."""

    async def enter(tunnel: Tunnel, number: int, exposing: Exposing | None = None) -> None:
        places = take_places(networks, number)
        on_exposed = None if exposing is None else exposing.on_event
        hop = Hop(ends.keeping, tunnel, places=places, session=plan.session, secret=secret,
                  on_exposed=on_exposed)  # fmt: skip
        await stack.enter_async_context(hop)

    networks = await _ask(both.networks())
    onward = Tunnel(ends.engine, role="agent")
    onward.join(ends.tunnel)
    await enter(onward, CARRIER_PORT)
    if plan.container_to_host:
        back = Tunnel(ends.engine, role="laptop")
        exposed = ends.keeping.exposed_on(back, "the container")
        await enter(back, BACK_PORT, exposed)
        for port in plan.container_to_host:
            await exposed.open(port.pod, port.laptop)


@contextlib.asynccontextmanager
async def prepare(plan: Plan, environment: Environment, ends: Ends) -> AsyncIterator[Launch]:
    """MethodError, TunnelError: with the engine's own words."""
    run = plan.container_run
    assert run is not None
    both, secret = containers_of(plan), secrets.token_bytes(32)
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        exposed = await _exposed(both, run)
        proxy = _Proxy(both.run_proxy(plan, run, exposed, secret), ends.say)
        stack.push_async_callback(_remove, both, run, proxy)
        await proxy.start()
        await proxy.wait_word("listening")
        await _enter_hops(stack, plan, both, ends, secret)
        await proxy.wait_word("ready")
        root = await ends.settled()
        proxy.tell("open")
        await proxy.wait_word("open")
        launch = _launch(plan, run, both, environment, directory, root)
        if run.is_detached:
            launch = await _detach(launch, both)
        watching = asyncio.ensure_future(proxy.wait_end(ends.keeping))
        stack.callback(watching.cancel)
        yield launch


async def _remove(both: Containers, run: ContainerRun, proxy: _Proxy) -> None:
    """Both, whatever state they are in; the user's gets its time.  MethodError: they stay."""
    grace_s = min(run.stop_timeout_s or GRACE_S, GRACE_MAX_S)
    await _ask(both.stop(grace_s), may_fail=True)
    await _ask(both.remove(both.user, both.proxy), but="no such container")
    await proxy.end()
