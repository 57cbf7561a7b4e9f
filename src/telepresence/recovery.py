"""Undo what a journal says is still done: one way for each kind of entry.

Called by: session (what its own undoing could not), guard.py, and `telepresence restore`.
Owns: the table of kinds.
Never: stops at an entry that fails; undoes one twice.
"""

import asyncio
import logging
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telepresence import journal as journals
from telepresence.descendants import end_all
from telepresence.errors import TelepresenceError
from telepresence.journal import Journal

if TYPE_CHECKING:
    from telepresence.cluster.api import Api

log = logging.getLogger(__name__)

Facts = dict[str, Any]
GRACE_S = 2.0


async def _object(api: "Api", facts: Facts) -> None:
    from telepresence.cluster import giveback

    await giveback.remove(api, facts["path"], facts["session"], grace_s=facts.get("grace_s"))


async def _replicas(api: "Api", facts: Facts) -> None:
    from telepresence.cluster import giveback

    await giveback.scale_back(api, facts["path"], facts["session"])


async def _unmount(path: Path) -> None:
    """What is mounted there and below.  OSError: it stays, so nothing below may be removed, as
    that would be the pod's."""
    from telepresence.volumes.mounting import mounted, unmount

    def within() -> list[Path]:
        return sorted(place for place in mounted() if place.is_relative_to(path))

    while places := within():
        await unmount(places[0])
        if places[0] in within():
            raise OSError(f"{places[0]} is still mounted")


async def _mount(facts: Facts) -> None:
    await _unmount(Path(facts["path"]))


async def remove_directory(path: Path) -> None:
    """A session's own, with whatever is in it.  OSError: it stays."""
    await _unmount(path)
    if path.name.startswith("telepresence-") and os.path.lexists(path):
        await asyncio.to_thread(shutil.rmtree, path)


async def _claim(facts: Facts) -> None:
    path = Path(facts["path"])
    if path.parent.name.startswith("telepresence-"):
        path.unlink(missing_ok=True)


async def _directory(facts: Facts) -> None:
    await remove_directory(Path(facts["path"]))


async def _processes(facts: Facts) -> None:
    count = await asyncio.to_thread(end_all, facts["session"], GRACE_S)
    log.info("ended %d processes", count)


async def _containers(facts: Facts) -> None:
    """OSError: the engine's client says why they stay."""
    process = await asyncio.create_subprocess_exec(
        *facts["argv"], env=dict(os.environ) | facts["environ"],
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    left = [line for line in lines if "no such container" not in line.lower()]
    if process.returncode and left:
        raise OSError(left[-1])


# A kind of the laptop needs no cluster: it is undone even when that cannot be reached.
LAPTOP: dict[str, Callable[[Facts], Awaitable[None]]] = {
    "claim": _claim,
    "containers": _containers,
    "directory": _directory,
    "mount": _mount,
    "processes": _processes,
}
CLUSTER: dict[str, Callable[["Api", Facts], Awaitable[None]]] = {
    "object": _object,
    "replicas": _replicas,
}


# A restart of the machine has undone these; what is at their places by now is somebody else's.
ENDED_BY_RESTART = {"mount", "processes"}


def _is_done(journal: Journal, kind: str) -> bool:
    before = journal.header.get("boot", "")
    return kind in ENDED_BY_RESTART and before not in ("", journals.this_boot())


async def _connect(header: Facts) -> "Api":
    from telepresence.cluster import api
    from telepresence.cluster.client import kube_config

    # The client read $KUBECONFIG when it was imported; the session's may have been another.
    if header.get("kubeconfig"):
        kube_config.KUBE_CONFIG_DEFAULT_LOCATION = header["kubeconfig"]
    return await api.connect(header["context"], header["namespace"])


async def undo_pending(journal: Journal, api: "Api | None" = None) -> list[str]:
    """Undo, the last first, what is pending.  Returns what could not be, in words.

    Without a connection one is made if an entry needs it."""
    failed: list[str] = []
    connection = api
    try:
        for number, entry in sorted(journal.pending.items(), reverse=True):
            try:
                if _is_done(journal, entry.kind):
                    log.info("undone by a restart of the machine: %s", entry.kind)
                elif entry.kind in LAPTOP:
                    await LAPTOP[entry.kind](entry.facts)
                else:
                    connection = connection or await _connect(journal.header)
                    await CLUSTER[entry.kind](connection, entry.facts)
            except (TelepresenceError, OSError, KeyError) as exc:
                log.warning("cannot undo %s %s: %r", entry.kind, entry.facts, exc)
                failed.append(f"{entry.facts.get('path', entry.kind)}: {exc}")
            else:
                log.info("undone from the journal: %s %s", entry.kind, entry.facts)
                journal.undone(number)
    finally:
        if connection is not None and connection is not api:
            await connection.close()
    return failed


def dead(context: str | None = None) -> Iterator[Journal]:
    """Journals that nobody minds: their sessions and guards are gone.  The caller closes each."""
    for path in journals.paths():
        journal = Journal.take(path)
        if journal is None:
            continue
        if context is None or journal.header.get("context") == context:
            yield journal
        else:
            journal.release()
