"""Where sshfs is, and why nothing can be mounted."""

from pathlib import Path

import pytest

from telepresence import fuse


@pytest.fixture
def sshfs(tmp_path: Path) -> Path:
    program = tmp_path / "bin" / "sshfs"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_macos_has_folders_that_no_path_names(sshfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuse, "_MACOS_FOLDERS", (str(sshfs.parent),))
    assert fuse.find_sshfs("darwin", path="/none") == str(sshfs)
    assert fuse.find_sshfs("linux", path="/none") is None


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_each_part_that_is_missing_is_named(
    sshfs: Path, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    device = sshfs.parent / "fuse"
    monkeypatch.setattr(fuse, "_MACOS_FOLDERS", ())
    monkeypatch.setattr(fuse, "_DEVICE", device)
    monkeypatch.setattr(fuse, "_MACFUSE", device)
    monkeypatch.setenv("PATH", "/none")
    assert fuse.why_no_fuse(platform).startswith("there is no sshfs on this machine")
    monkeypatch.setenv("PATH", str(sshfs.parent))
    assert fuse.why_no_fuse(platform).startswith("this machine has no FUSE")
    device.touch()
    assert fuse.why_no_fuse(platform) == ""


def test_other_systems_are_told_so() -> None:
    assert fuse.why_no_fuse("win32") == "volumes are mounted on Linux and macOS only"
