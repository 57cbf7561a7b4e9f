"""Whether root can be had, by what is on the PATH."""

import os
from pathlib import Path

import pytest

from telepresence.privilege import how_to_root


def test_root_needs_no_words(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root is root")
    assert how_to_root(str(tmp_path)) == []


def test_others_need_sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert how_to_root(str(tmp_path)) is None
    sudo = tmp_path / "sudo"
    sudo.touch(0o755)
    assert how_to_root(str(tmp_path)) == [str(sudo)]
