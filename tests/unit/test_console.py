"""What the user hears: on stderr alone, and how much of it."""

import pytest

from telepresence.console import Console


def test_every_line_begins_with_t_and_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Console().say("one\ntwo")
    assert capsys.readouterr() == ("", "T: one\nT: two\n")


def test_hints_are_for_terminals_and_for_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    Console().hint("try this")
    assert capsys.readouterr() == ("", "")
    Console(verbose=True).hint("try this")
    assert capsys.readouterr() == ("", "T: try this\n")


def test_stages_are_timed_and_told_only_when_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    for verbose in (False, True):
        console = Console(verbose=verbose)
        console.stage("one")
        console.stage("two")
        assert [name for name, _ in console.stages] == ["one", "two"]
        assert 0 <= console.stages[0][1] <= console.stages[1][1]
        said = capsys.readouterr()
        assert said.out == ""
        lines = said.err.splitlines()
        assert [line.rpartition(" ")[2] for line in lines] == (["one", "two"] if verbose else [])
