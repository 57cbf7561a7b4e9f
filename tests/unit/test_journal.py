"""The undo journal: what another process finds in it, and who is in charge."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from telepresence import journal as journals
from telepresence.journal import Entry, Journal

ENTRY = Entry(kind="object", facts={"path": "/a", "grace_s": None})


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "telepresence"


@pytest.fixture
def journal() -> Iterator[Journal]:
    made = Journal.create("aa", {"context": "east"})
    yield made
    made.pending.clear()
    made.close()


def copy(journal: Journal) -> Journal:
    """As another process sees it."""
    seen = Journal(journal.path, journal.fd)
    assert seen.read()
    return seen


def test_what_is_done_and_not_undone_is_pending(journal: Journal, place: Path) -> None:
    assert (journal.write(ENTRY), journal.write(ENTRY)) == (0, 1)
    journal.undone(0)
    seen = copy(journal)
    assert seen.header == {"session": "aa", "context": "east"}
    assert seen.pending == {1: ENTRY}
    assert seen.write(ENTRY) == 2
    assert journal.path == place / "aa.journal"
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_a_line_that_was_cut_off_was_not_acted_upon(journal: Journal) -> None:
    journal.write(ENTRY)
    os.write(journal.fd, b'{"undone": 0')
    assert copy(journal).pending == {0: ENTRY}


def test_nobody_takes_one_that_is_minded(journal: Journal) -> None:
    assert Journal.take(journal.path) is None
    assert list(journals.paths()) == [journal.path]


def test_one_whose_minders_are_gone_is_taken_once() -> None:
    made = Journal.create("bb", {})
    made.write(ENTRY)
    made.close()
    taken = Journal.take(made.path)
    assert taken is not None
    assert taken.pending == {0: ENTRY}
    assert Journal.take(made.path) is None
    taken.undone(0)
    taken.close()
    assert list(journals.paths()) == []
    assert Journal.take(made.path) is None


def test_with_nothing_pending_the_file_goes_and_else_it_stays() -> None:
    made = Journal.create("cc", {})
    made.close()
    assert not made.path.exists()


@pytest.mark.parametrize("content", [b"", b"no json\n", b'{"undone": 3}\n'])
def test_a_file_without_a_header_is_nobodys(place: Path, content: bytes) -> None:
    place.mkdir()
    (place / "x.journal").write_bytes(content)
    assert Journal.take(place / "x.journal") is None


def test_there_may_be_no_folder_yet() -> None:
    assert list(journals.paths()) == []


def test_a_file_system_without_nameless_files_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    made = Journal.create("dd", {})
    assert made.path.exists()
    made.close()
