"""Undo what was done, last first, whatever happens in between.

Called by: session.
Owns: the order, and the log line of each undo.
Never: stops at an undo that fails; lets a second Ctrl-C skip one.
"""

import asyncio
import logging
import time
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self, TypeVar

from telepresence.journal import Entry, Journal

log = logging.getLogger(__name__)

T = TypeVar("T")
UNDO_TIMEOUT_S = 20.0  # an API request's own time-out is shorter


def _what(name: str, entry: Entry | None) -> str:
    """For whoever reads of a crash: which part, and which object."""
    place = entry.facts.get("path") if entry is not None else None
    return f"{name} {place}" if place else name


class Undo:
    """A stack of named context managers.

    async with Undo() as undo:
        pod = await undo.enter("proxy pod", cluster.proxy(plan))
    """

    def __init__(self) -> None:
        self._entered: list[tuple[str, AbstractAsyncContextManager[object], int]] = []
        self.journal: Journal | None = None
        self.failures: list[tuple[str, BaseException]] = []

    async def __aenter__(self) -> Self:
        return self

    async def enter(
        self, name: str, manager: AbstractAsyncContextManager[T], entry: Entry | None = None
    ) -> T:
        """Do something; it is undone at the end, also when the doing is cancelled half-way,
        which is the manager's own part.

        What must be undone even without this process has an entry, which stands in the journal
        before anything is done; it stays there if the doing or the undoing fails."""
        number = -1
        if entry is not None and self.journal is not None:
            number = self.journal.write(entry)
        try:
            value = await manager.__aenter__()
        except Exception as exc:
            exc.add_note(_what(name, entry))
            raise
        self._entered.append((name, manager, number))
        return value

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """A cancellation on the way takes effect when all is undone."""
        work = asyncio.ensure_future(self._undo_all(kind, error, trace))
        cancelled: asyncio.CancelledError | None = None
        while not work.done():
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError as exc:
                cancelled = exc
        work.result()
        if cancelled is not None:
            raise cancelled

    async def _undo_all(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._entered:
            name, manager, number = self._entered.pop()
            if await self._undo(name, manager, kind, error, trace) and number >= 0:
                assert self.journal is not None
                self.journal.undone(number)

    async def _undo(
        self,
        name: str,
        manager: AbstractAsyncContextManager[object],
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        began = time.monotonic()
        try:
            async with asyncio.timeout(UNDO_TIMEOUT_S):
                await manager.__aexit__(kind, error, trace)
        except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 # the others must go on
            if exc is not error:
                log.error("undo of %s failed: %r", name, exc)  # noqa: TRY400
                self.failures.append((name, exc))
                return False
        log.info("undone: %s in %.3f s", name, time.monotonic() - began)
        return True
