"""One session from the command line to the exit status: the only module that knows every room.

Called by: __main__.
Owns: the order of the stages, and the undo of each.
Never: does a room's work; hands values from one to the next.

    options -> facts -> plan -> pod -> tunnel -> endpoints -> environment -> launch -> exit status
"""

import asyncio
import contextlib
import functools
import logging
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from telepresence import recovery
from telepresence.console import Console
from telepresence.environ.files import write_files
from telepresence.environ.image import with_image
from telepresence.environ.merge import make_environment
from telepresence.environ.secret import secret_values
from telepresence.exposure import Exposure
from telepresence.fastpath import Engine, Tunnel
from telepresence.guarded import Guarded
from telepresence.journal import Entry
from telepresence.log import hide
from telepresence.method import inject
from telepresence.method.container import whole
from telepresence.plan import make_plan
from telepresence.prompt import with_prompt
from telepresence.runner import Child, terminal_sends_signals
from telepresence.to_pod import ToPod
from telepresence.tunnel.hold import Hold
from telepresence.undo import Undo
from telepresence.values import Endpoints, Environment, ExitStatus, Launch, Options, Plan, Pod, Port
from telepresence.volumes.copies import Copies
from telepresence.volumes.realpaths import at_real_paths
from telepresence.volumes.tree import Tree

if TYPE_CHECKING:
    from telepresence.cluster.api import Api
    from telepresence.cluster.claim import Claim
    from telepresence.cluster.podwatch import PodWatch
    from telepresence.method.vpn.whole import Vpn
    from telepresence.tunnel.keeper import Keeper

log = logging.getLogger(__name__)

T = TypeVar("T")
JOURNALED = {
    "service", "volumes", "mount", "lease", "proxy pod", "replicas", "process", "containers"
}  # fmt: skip
Prepare = Callable[[Plan, Environment, Engine, Tunnel], AbstractAsyncContextManager[Launch]]
METHODS: dict[str, Prepare] = {"inject-tcp": inject.prepare}
SHIMS = {"inject-tcp": inject.SHIM, "vpn-tcp": inject.SHIM, "container": inject.SHIM}
_CODES = {signal.SIGINT: 130, signal.SIGTERM: 0, signal.SIGHUP: 0}  # T, H: Telepresence 1's


class Interrupts:
    """The first signal cancels the session; the later ones find it being undone already."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self.left_to_child = False
        self._task = asyncio.current_task()

    def __enter__(self) -> "Interrupts":
        loop = asyncio.get_running_loop()
        for number in _CODES:
            loop.add_signal_handler(number, self._on_signal, number)
        return self

    def __exit__(self, *_: object) -> None:
        """All is undone: a late signal must not come before the exit code."""
        loop = asyncio.get_running_loop()
        signal.pthread_sigmask(signal.SIG_BLOCK, _CODES)  # between one action and the next
        for number in _CODES:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)

    def _on_signal(self, number: signal.Signals) -> None:
        log.info("received %s", number.name)
        if number == signal.SIGINT and self.left_to_child and terminal_sends_signals():
            return
        if self.received is None and self._task is not None:
            self.received = number
            self._task.cancel()


@contextlib.asynccontextmanager
async def _engine() -> AsyncIterator[Engine]:
    engine = Engine()
    try:
        yield engine
    finally:
        engine.close()


@contextlib.asynccontextmanager
async def _plan(options: Options, console: Console) -> AsyncIterator["tuple[Api, Plan]"]:
    # Imported late: 0.3 s that --help and a wrong option need not wait for.
    from telepresence.cluster import api, observe

    connection = await api.connect(options.context, options.namespace)
    console.stage("kubeconfig read")
    try:
        facts = await observe.observe(options, connection, SHIMS[options.method])
        console.stage("cluster asked")
        plan = make_plan(
            options, facts, session=secrets.token_bytes(16), secret=secrets.token_bytes(32)
        )
        for note in (*plan.notes, *inject.notes(plan)):
            console.say(note)
        yield connection, plan
    finally:
        await connection.close()


async def _unless(work: Coroutine[object, object, T], *troubles: "asyncio.Future[None]") -> T:
    """What the work gives, or the error of what ended before it."""
    task = asyncio.ensure_future(work)
    try:
        ends: list[asyncio.Future[T] | asyncio.Future[None]] = [task, *troubles]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for trouble in troubles:
            if trouble.done() and not task.done():
                trouble.result()
        return await task
    finally:
        task.cancel()
        await asyncio.wait([task])


def _object(path: str, session: str, grace_s: int | None = None) -> Entry:
    return Entry(kind="object", facts={"path": path, "session": session, "grace_s": grace_s})


async def _repair(context: str, console: Console) -> None:
    """Undo first what earlier sessions left that died with their guards, as at a power cut."""
    for journal in recovery.dead(context):
        console.say(f"an earlier session left things behind (pod {journal.header.get('pod')})")
        for failure in await recovery.undo_pending(journal):
            console.say(f"still left behind: {failure}")
        journal.close()


async def _pod(
    undo: Undo, connection: "Api", plan: Plan, console: Console
) -> "tuple[PodWatch, Claim | None, dict[bytes, bytes]]":
    """The proxy pod, created; of a swap, in the place of its workload, and the environment that
    was there.  Or one that is there."""
    from telepresence.cluster.claim import Claim
    from telepresence.cluster.existing import UsedPod
    from telepresence.cluster.lease import Lease
    from telepresence.cluster.oldpod import OldPod
    from telepresence.cluster.proxy import ProxyPod
    from telepresence.cluster.service import ProxyService

    workload, session = plan.workload, plan.session.hex()
    if plan.existing is not None:
        return await undo.enter("use of the pod", UsedPod(connection, plan)), None, {}
    if workload is None:
        new = ProxyPod(connection, plan)
        proxy = await undo.enter("proxy pod", new, _object(new.path, session, new.grace_s))
        console.stage("pod created")
        if plan.expose:
            named = ProxyService(connection, plan)
            await undo.enter("service", named, _object(named.path, session))
        return proxy, None, {}
    for hint in workload.hints:
        console.say(hint)
    old = await undo.enter("old pod", OldPod(connection, plan, workload))
    held = Lease(connection, plan, workload)
    lease = await undo.enter("lease", held, _object(held.path, session))
    new = ProxyPod(connection, plan, lease.reference)
    proxy = await undo.enter("proxy pod", new, _object(new.path, session, new.grace_s))
    console.stage("pod created")
    before = await old.environ()
    if old.note:
        console.say(old.note)
    console.stage("old pod asked")
    claim = await undo.enter(
        "replicas",
        Claim(connection, plan, workload, console.say),
        Entry(kind="replicas", facts={"path": workload.path, "session": session}),
    )
    console.stage("workload scaled to 0")
    return proxy, claim, before


async def _settled(
    plan: Plan, tree: Tree | Copies, claim: "Claim | None", console: Console
) -> Path | None:
    """Once no other pod has the traffic and the pod's files are here: where, if they are."""
    if claim is not None:
        await claim.alone()
        console.stage("workload's pods gone")
    if note := await tree.ready():
        console.say(note)
    console.stage("volumes mounted")
    return None if note and plan.mount.mode == "fuse" else tree.root


async def _ports(
    undo: Undo, plan: Plan, engine: Engine, keeper: "Keeper", console: Console
) -> None:
    """Those that lead to the pod and those that lead here."""
    if plan.to_pod:
        same = tuple(Port(laptop=number, pod=number) for number in plan.to_pod)
        await undo.enter("ports to the pod", ToPod(same, engine, keeper.tunnel))
    if plan.expose or plan.from_pod:
        exposure = Exposure(plan, keeper.exposed.open, keeper.open_service, console.say)
        await undo.enter("exposed ports", exposure)
        console.stage("ports exposed")


async def _run(
    options: Options, console: Console, interrupts: Interrupts, undo: Undo
) -> ExitStatus:
    try:
        async with undo:
            return await _stages(options, console, interrupts, undo)
    finally:
        console.stage("undone")
        for left in _left(undo):
            console.say(left)


async def _tree(undo: Undo, plan: Plan, pod: Pod) -> Tree:
    """Mounted while the tunnel is made, where there are mounts at all."""
    path, mounted = plan.mount.path, None
    if plan.mount.mode == "fuse" and path is not None:
        mounted = Entry(kind="mount", facts={"path": str(path.resolve())})
    return await undo.enter("mount", Tree(plan, pod), mounted)


async def _volumes(
    undo: Undo, plan: Plan, pod: Pod, tree: Tree, keeper: "Keeper", ends: Endpoints
) -> Tree | Copies:
    """On their way: ready() waits for them."""
    path, is_shared = plan.mount.path, plan.container_run is not None
    if plan.mount.mode == "copy" and path is not None:
        copied = Entry(kind="directory", facts={"path": str(path)})
        copies = Copies(path, pod, keeper.open_service, is_shared=is_shared)
        return await undo.enter("volumes", copies, copied)
    return await undo.enter("volumes", tree.joined(keeper.open_service, ends.mounts))


async def _tunnel(undo: Undo, plan: Plan, keeper: "Keeper") -> None:
    await undo.enter("tunnel", keeper)
    if plan.existing is not None:
        await undo.enter("hold on the pod", Hold(plan, keeper.open_service))


async def _method(
    undo: Undo,
    prepare: Prepare | None,
    plan: Plan,
    environment: Environment,
    engine: Engine,
    keeper: "Keeper",
    settled: Callable[[], Awaitable[Path | None]],
    say: Callable[[str], None],
) -> Launch:
    """None: the user's process is a container, which a guard has to remove."""
    if prepare is None:
        ends = whole.Ends(
            engine=engine, tunnel=keeper.tunnel, keeping=keeper, settled=settled, say=say
        )  # fmt: skip
        containers = whole.prepare(plan, environment, ends)
        return await undo.enter("containers", containers, whole.journal_entry(plan))
    return await undo.enter("method", prepare(plan, environment, engine, keeper.tunnel))


async def _privileges(undo: Undo, plan: Plan, connection: "Api", console: Console) -> "Vpn | None":
    """What vpn-tcp needs comes before the first change."""
    from telepresence.cluster.ranges import observe_ranges
    from telepresence.method.vpn.claims import own_claim
    from telepresence.method.vpn.whole import Vpn

    if plan.method != "vpn-tcp":
        return None
    vpn = Vpn(plan, observe_ranges(connection), console)
    claimed = Entry(kind="claim", facts={"path": str(own_claim(plan.pod_name))})
    return await undo.enter("privileges", vpn, claimed)


async def _stages(
    options: Options, console: Console, interrupts: Interrupts, undo: Undo
) -> ExitStatus:
    from telepresence.cluster.manifest import CARRIER_PORT
    from telepresence.tunnel.keeper import Keeper

    connection, plan = await undo.enter("API connection", _plan(options, console))
    await _repair(plan.context, console)
    undo.journal = await undo.enter("journal", Guarded(plan, options.logfile, connection))
    vpn = await _privileges(undo, plan, connection, console)
    proxy, claim, before = await _pod(undo, connection, plan, console)
    engine = await undo.enter("engine", _engine())
    pod = await proxy.ready(console.say)
    console.stage("pod ready")
    keeper = Keeper(engine, plan, pod, CARRIER_PORT, connection.access)
    mounting = await _tree(undo, plan, pod)
    await _unless(_tunnel(undo, plan, keeper), proxy.ended)
    console.stage("tunnel up")
    ends = await _unless(keeper.endpoints(), proxy.ended, keeper.failed)
    ends = with_image(ends, plan.workload, plan.container, before)
    tree = await _volumes(undo, plan, pod, mounting, keeper, ends)
    hide(secret_values(plan.workload, plan.container, ends.environ))
    environment = make_environment(plan, pod, ends, tree.root)
    for note in write_files(plan, environment):
        console.say(note)
    console.stage("environment read")
    prepare = METHODS.get(plan.method) if vpn is None else vpn.prepare_for(ends)
    settled = functools.partial(_settled, plan, tree, claim, console)
    making = _method(undo, prepare, plan, environment, engine, keeper, settled, console.say)
    launch = await _unless(making, proxy.ended, keeper.failed)
    if plan.container_run is None:  # else the proxy container has seen to these
        root = await _unless(settled(), proxy.ended, keeper.failed)
        launch = with_prompt(launch, plan)
        if plan.volumes_at_real_paths and root is not None:
            launch, left_out = at_real_paths(launch, root, tree.shown)
            for note in left_out:
                console.say(note)
        await _unless(_ports(undo, plan, engine, keeper, console), proxy.ended, keeper.failed)
    session = plan.session.hex()
    mark = Entry(kind="processes", facts={"session": session})
    child = await undo.enter("process", Child(launch, session), mark)
    console.stage("process started")
    interrupts.left_to_child = True
    broken = () if vpn is None else (vpn.failed,)
    status = await _unless(child.wait(), proxy.ended, keeper.failed, *broken)
    console.stage("process ended")
    return status


def _left(undo: Undo) -> list[str]:
    """What is left behind, in words.  What has an entry in the journal was tried once more; the
    journal's own failure is the last word about it."""
    said = []
    for name, error in undo.failures:
        if name == "journal":
            said.append(f"left behind: {error}")
            said.append("a guard goes on trying; 'telepresence restore' does so at once")
        elif name not in JOURNALED:
            said.append(f"left behind: {name}: {error}")
    return said


async def run(options: Options, console: Console) -> ExitStatus:
    """The whole session.  Errors of every room pass through, after everything is undone."""
    undo = Undo()
    with Interrupts() as interrupts:
        try:
            return await _run(options, console, interrupts, undo)
        except asyncio.CancelledError:
            if interrupts.received is None:
                raise
            undone = "" if _left(undo) else "; everything is undone"
            console.say(f"ended by {interrupts.received.name}{undone}")
            return ExitStatus(code=_CODES[interrupts.received])
