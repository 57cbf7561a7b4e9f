"""What a journal says is undone without its session; the cluster's part is in tests/cluster."""

import asyncio
from pathlib import Path

import pytest

from telepresence import recovery
from telepresence.journal import Entry, Journal, this_boot


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def left(*entries: Entry, context: str = "east", boot: str = "") -> Path:
    header = {"context": context, "namespace": "prod", "kubeconfig": "/no", "boot": boot}
    journal = Journal.create("aa", header)
    for entry in entries:
        journal.write(entry)
    journal.close()
    return journal.path


def directory(path: Path) -> Entry:
    path.mkdir()
    (path / "secret").write_text("x")
    return Entry(kind="directory", facts={"path": str(path)})


def test_a_directory_is_removed_and_the_journal_with_it(place: Path) -> None:
    path = left(directory(place / "telepresence-00"), directory(place / "telepresence-01"))
    for journal in recovery.dead("east"):
        assert asyncio.run(recovery.undo_pending(journal)) == []
        journal.close()
    assert not (place / "telepresence-00").exists()
    assert not (place / "telepresence-01").exists()
    assert not path.exists()


def test_a_directory_that_is_not_ours_stays(place: Path) -> None:
    left(directory(place / "precious"))
    (journal,) = recovery.dead()
    asyncio.run(recovery.undo_pending(journal))
    journal.close()
    assert (place / "precious" / "secret").exists()


def test_what_cannot_be_undone_stays_and_keeps_no_other(place: Path) -> None:
    """The cluster is not reached: there is no kubeconfig."""
    claim = Entry(kind="replicas", facts={"path": "/web", "session": "aa"})
    path = left(directory(place / "telepresence-00"), claim, Entry(kind="news", facts={}))
    (journal,) = recovery.dead()
    failed = asyncio.run(recovery.undo_pending(journal))
    journal.close()
    assert len(failed) == 2
    assert any(text.startswith("/web: ") for text in failed)
    assert not (place / "telepresence-00").exists()
    assert path.exists()


def test_other_contexts_are_left_to_their_own_runs(place: Path) -> None:
    left(directory(place / "telepresence-00"), context="west")
    assert list(recovery.dead("east")) == []
    (journal,) = recovery.dead("west")
    journal.pending.clear()
    journal.close()


@pytest.mark.parametrize(
    ("script", "stays"),
    [
        ("exit 0", ""),
        ("echo 'Error: No such container: a' >&2; echo >&2; exit 1", ""),
        ("echo 'no such container: a' >&2; echo $NOTE >&2; exit 1", "cannot connect"),
    ],
)
def test_containers_that_are_gone_already_are_undone(script: str, stays: str) -> None:
    facts = {"argv": ["sh", "-c", script], "environ": {"NOTE": "cannot connect"}}
    undoing = recovery.LAPTOP["containers"](facts)
    if stays:
        with pytest.raises(OSError, match=stays):
            asyncio.run(undoing)  # type: ignore[arg-type] # a coroutine
    else:
        asyncio.run(undoing)  # type: ignore[arg-type] # a coroutine


@pytest.mark.parametrize(("boot", "asked"), [("", 1), ("another", 0), (this_boot(), 1)])
def test_after_a_restart_of_the_machine_its_mounts_are_somebody_elses(
    boot: str, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    async def unmount(facts: dict[str, str]) -> None:
        seen.append(facts["path"])

    monkeypatch.setitem(recovery.LAPTOP, "mount", unmount)
    path = left(Entry(kind="mount", facts={"path": "/mnt"}), boot=boot)
    (journal,) = recovery.dead()
    assert asyncio.run(recovery.undo_pending(journal)) == []
    journal.close()
    assert len(seen) == asked
    assert not path.exists()


def test_a_claim_on_ranges_goes_and_no_other_file(place: Path) -> None:
    ours, other = place / "telepresence-vpn-1" / "2-p.json", place / "precious.json"
    ours.parent.mkdir()
    for path in (ours, other):
        path.write_text("{}")
        for _ in range(2):
            asyncio.run(recovery.LAPTOP["claim"]({"path": str(path)}))  # type: ignore[arg-type] # a coroutine
    assert not ours.exists()
    assert other.exists()
