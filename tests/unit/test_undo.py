"""The stack of undos: its order, and that nothing makes it skip one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from telepresence import undo as undo_module
from telepresence.journal import Entry, Journal
from telepresence.undo import Undo


@contextlib.asynccontextmanager
async def noted(name: str, notes: list[str]) -> AsyncIterator[str]:
    notes.append(f"do {name}")
    try:
        yield name
    finally:
        notes.append(f"undo {name}")


class Failing:
    """Undoes with an error of its own."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        raise self.error


class Slow:
    """Undoes only when it is let."""

    def __init__(self, notes: list[str]) -> None:
        self.notes, self.begun, self.let = notes, asyncio.Event(), asyncio.Event()

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        self.begun.set()
        await self.let.wait()
        self.notes.append("undo slow")


def test_the_last_is_undone_first() -> None:
    notes: list[str] = []

    async def scene() -> None:
        async with Undo() as undo:
            assert await undo.enter("a", noted("a", notes)) == "a"
            await undo.enter("b", noted("b", notes))

    asyncio.run(scene())
    assert notes == ["do a", "do b", "undo b", "undo a"]


def test_a_failed_entry_undoes_those_before_it() -> None:
    notes: list[str] = []

    @contextlib.asynccontextmanager
    async def refused() -> AsyncIterator[None]:
        raise OSError("refused")
        yield

    async def scene() -> None:
        async with Undo() as undo:
            await undo.enter("a", noted("a", notes))
            await undo.enter("b", refused())

    with pytest.raises(OSError, match="refused"):
        asyncio.run(scene())
    assert notes == ["do a", "undo a"]


@pytest.mark.parametrize("error", [OSError("no way back"), asyncio.CancelledError()], ids=repr)
def test_an_undo_that_fails_is_kept_and_the_others_are_done(error: BaseException) -> None:
    notes: list[str] = []

    async def scene() -> Undo:
        async with Undo() as undo:
            await undo.enter("a", noted("a", notes))
            await undo.enter("b", Failing(error))
            await undo.enter("c", noted("c", notes))
        return undo

    undo = asyncio.run(scene())
    assert notes[2:] == ["undo c", "undo a"]
    assert undo.failures == [("b", error)]


def test_the_sessions_own_error_passes_and_is_no_failure_of_an_undo() -> None:
    made: list[Undo] = []

    async def scene() -> None:
        async with Undo() as undo:
            made.append(undo)
            await undo.enter("a", noted("a", []))
            raise ValueError("of the session")

    with pytest.raises(ValueError, match="of the session"):
        asyncio.run(scene())
    assert made[0].failures == []


def test_an_undo_that_hangs_is_given_up_and_the_others_are_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(undo_module, "UNDO_TIMEOUT_S", 0.05)
    notes: list[str] = []

    async def scene() -> Undo:
        async with Undo() as undo:
            await undo.enter("a", noted("a", notes))
            await undo.enter("slow", Slow(notes))
        return undo

    undo = asyncio.run(scene())
    assert notes == ["do a", "undo a"]
    assert [name for name, _ in undo.failures] == ["slow"]


def test_cancelling_in_the_middle_of_an_undo_skips_none() -> None:
    """The first Ctrl-C after the command's end, and all that follow."""
    notes: list[str] = []

    async def scene(slow: Slow) -> None:
        async with Undo() as undo:
            await undo.enter("a", noted("a", notes))
            await undo.enter("slow", slow)
            await undo.enter("b", noted("b", notes))

    async def stage() -> None:
        slow = Slow(notes)
        session = asyncio.ensure_future(scene(slow))
        await slow.begun.wait()
        for _ in range(3):
            session.cancel()
            await asyncio.sleep(0)
        slow.let.set()
        with pytest.raises(asyncio.CancelledError):
            await session

    asyncio.run(stage())
    assert notes == ["do a", "do b", "undo b", "undo slow", "undo a"]


def test_what_has_an_entry_stands_in_the_journal_from_before_until_it_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    journal = Journal.create("aa", {})
    entry = Entry(kind="k", facts={})
    seen: list[int] = []

    @contextlib.asynccontextmanager
    async def looking(*, fails: bool = False) -> AsyncIterator[None]:
        seen.append(len(journal.pending))
        yield
        seen.append(len(journal.pending))
        if fails:
            raise OSError("no way back")

    @contextlib.asynccontextmanager
    async def refused() -> AsyncIterator[None]:
        raise OSError("refused")
        yield

    async def scene() -> None:
        async with Undo() as undo:
            undo.journal = journal
            await undo.enter("a", looking(), entry)
            await undo.enter("b", looking(fails=True), entry)
            await undo.enter("c", looking())
            with pytest.raises(OSError, match="refused"):
                await undo.enter("d", refused(), entry)

    asyncio.run(scene())
    assert seen == [1, 2, 2, 3, 3, 3]
    assert sorted(journal.pending) == [1, 2], "b's undo failed, d may be half done"
    journal.pending.clear()
    journal.close()


def test_an_error_tells_with_what_it_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    @contextlib.asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        raise KeyError("x")
        yield

    async def scene() -> None:
        async with Undo() as undo:
            await undo.enter("proxy pod", broken(), Entry(kind="object", facts={"path": "/pods/a"}))

    with pytest.raises(KeyError) as caught:
        asyncio.run(scene())
    assert caught.value.__notes__ == ["proxy pod /pods/a"]
