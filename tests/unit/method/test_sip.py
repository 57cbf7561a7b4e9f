"""The mirror of macOS's own programs, made of a small system in a folder."""

import json
import logging
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from signatures import signed_as

from telepresence.errors import MethodError
from telepresence.method import macho, sip
from telepresence.method.sip import Mirror
from telepresence.values import Launch

SCRIPT = b"#! /bin/sh -e\nexec true\n"
ENV_SCRIPT = b"#!/usr/bin/env python3\nprint(1)\n"


def put(root: Path, path: str, content: bytes, mode: int = 0o755) -> Path:
    place = root / path[1:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    place.chmod(mode)
    return place


@pytest.fixture
def root(tmp_path: Path, arm64: bytes, arm64e: bytes, x86_64: bytes) -> Path:
    """As Apple ships it on its own processors: each program for Intel and for arm64e."""
    root = tmp_path / "system"
    apple = macho.join([x86_64, arm64e])
    for path in ("/bin/sh", "/sbin/route", "/usr/bin/env", "/usr/sbin/arp"):
        put(root, path, apple)
    put(root, "/usr/bin/plain", macho.join([x86_64, arm64]))
    put(root, "/usr/bin/apple-only", arm64e)
    put(root, "/usr/bin/login", apple, 0o4755)
    put(root, "/usr/bin/notes.txt", b"text", 0o644)
    put(root, "/usr/bin/script", SCRIPT)
    put(root, "/usr/bin/env-script", ENV_SCRIPT)
    put(root, "/usr/bin/foreign-script", b"#!/opt/ruby\n")
    put(root, "/opt/tool", SCRIPT)
    (root / "usr/bin/link").symlink_to("env")
    (root / "usr/bin/link-out").symlink_to("../../opt/tool")
    return root


@pytest.fixture
def mirror(root: Path, tmp_path: Path) -> Mirror:
    return Mirror(tmp_path / "mirror", root=root, machine="arm64")


def test_programs_are_copied_thin_and_signed(mirror: Mirror, x86_64: bytes, arm64: bytes) -> None:
    assert mirror.refresh() == 13  # all that lies in the four folders
    for path in ("/bin/sh", "/sbin/route", "/usr/bin/env", "/usr/sbin/arp"):
        copy = Path(mirror.copy_of(path))
        assert signed_as(copy.read_bytes()) == copy.name
        assert [p.cpu for p in macho.slices(copy.read_bytes())] == [macho.X86_64]
        assert stat.S_IMODE(copy.stat().st_mode) == 0o755
    plain = Path(mirror.copy_of("/usr/bin/plain")).read_bytes()
    assert [p.cpu for p in macho.slices(plain)] == [macho.ARM64]


def test_on_an_intel_mac_the_intel_slice_is_taken(root: Path, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "mirror", root=root, machine="x86_64")
    mirror.refresh()
    plain = Path(mirror.copy_of("/usr/bin/plain")).read_bytes()
    assert [p.cpu for p in macho.slices(plain)] == [macho.X86_64]


@pytest.mark.parametrize(
    "path",
    ["/usr/bin/apple-only", "/usr/bin/login", "/usr/bin/notes.txt", "/usr/bin/foreign-script"],
)
def test_what_cannot_or_need_not_be_copied_is_still_found(
    mirror: Mirror, root: Path, path: str
) -> None:
    mirror.refresh()
    link = Path(mirror.copy_of(path))
    assert link.readlink() == root / path[1:]


def test_a_link_leads_to_the_copy_or_out(mirror: Mirror, root: Path) -> None:
    mirror.refresh()
    assert Path(mirror.copy_of("/usr/bin/link")).resolve() == Path(mirror.copy_of("/usr/bin/env"))
    assert Path(mirror.copy_of("/usr/bin/link-out")).resolve() == root / "opt/tool"


def test_scripts_name_the_copies_of_their_interpreters(mirror: Mirror) -> None:
    mirror.refresh()
    script = Path(mirror.copy_of("/usr/bin/script")).read_bytes()
    assert script == b"#!%s -e\nexec true\n" % os.fsencode(mirror.copy_of("/bin/sh"))
    script = Path(mirror.copy_of("/usr/bin/env-script")).read_bytes()
    assert script == b"#!%s python3\nprint(1)\n" % os.fsencode(mirror.copy_of("/usr/bin/env"))


def test_a_rewritten_script_runs(tmp_path: Path) -> None:
    """With this machine's own sh in the place of a Mac's."""
    root, shell = tmp_path / "system", shutil.which("dash")
    assert shell
    put(root, "/bin/sh", Path(shell).read_bytes())
    put(root, "/bin/tell", b'#!/bin/sh -u\necho "$0|$1|$-"\n')
    mirror = Mirror(tmp_path / "mirror", root=root)
    mirror.refresh()
    said = subprocess.check_output([mirror.copy_of("/bin/tell"), "a b"], text=True)
    assert said == f"{mirror.copy_of('/bin/tell')}|a b|u\n"


def test_a_folder_that_no_first_line_can_name_leaves_scripts_alone(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = Mirror(tmp_path / "a folder", root=root, machine="arm64")
    with caplog.at_level(logging.WARNING):
        mirror.refresh()
    assert Path(mirror.copy_of("/usr/bin/script")).readlink() == root / "usr/bin/script"
    assert "script stays protected" in caplog.text


def snapshot(mirror: Mirror) -> dict[str, int]:
    return {
        str(path): path.lstat().st_mtime_ns
        for path in mirror.folder.rglob("*")
        if not path.is_dir() and path.name != "lock"
    }


def test_a_second_session_copies_nothing(mirror: Mirror) -> None:
    mirror.refresh()
    before = snapshot(mirror)
    assert mirror.refresh() == 0
    assert snapshot(mirror) == before


def newer(place: Path) -> None:
    """An update of the same size, which leaves the inode."""
    status = place.stat()
    os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def another_inode(place: Path) -> None:
    """The same time and size."""
    copy = shutil.copy2(place, place.with_name("new"))
    Path(copy).replace(place)


@pytest.mark.parametrize("change", [newer, another_inode])
def test_what_has_changed_is_copied_again_alone(
    mirror: Mirror, root: Path, change: Callable[[Path], None]
) -> None:
    mirror.refresh()
    before = snapshot(mirror)
    change(root / "usr/bin/env")
    assert mirror.refresh() == 1
    after = snapshot(mirror)
    differing = {path for path in after if after[path] != before.get(path)}
    assert differing == {mirror.copy_of("/usr/bin/env"), str(mirror.folder / "index.json")}


def test_what_is_gone_is_removed(mirror: Mirror, root: Path) -> None:
    mirror.refresh()
    (root / "usr/sbin/arp").unlink()
    assert mirror.refresh() == 0
    assert not Path(mirror.copy_of("/usr/sbin/arp")).exists()


def test_a_copy_that_was_cleaned_away_is_made_again(mirror: Mirror) -> None:
    mirror.refresh()
    Path(mirror.copy_of("/bin/sh")).unlink()
    assert mirror.refresh() == 1
    assert signed_as(Path(mirror.copy_of("/bin/sh")).read_bytes()) == "sh"


@pytest.mark.parametrize("index", ["", "[]", "{", '{"format": 0}', '{"format": 1, "machine": "x"}'])
def test_an_index_that_makes_no_sense_is_made_again(mirror: Mirror, index: str) -> None:
    copied = mirror.refresh()
    (mirror.folder / "index.json").write_text(index)
    assert mirror.refresh() == copied
    assert json.loads((mirror.folder / "index.json").read_text())["machine"] == "arm64"


def test_nothing_is_left_beside_the_mirror(mirror: Mirror) -> None:
    mirror.refresh()
    assert sorted(path.name for path in mirror.folder.iterdir()) == [
        "bin", "index.json", "lock", "sbin", "usr",
    ]  # fmt: skip
    assert stat.S_IMODE(mirror.folder.stat().st_mode) == 0o700


def test_path_names_the_mirror_where_it_named_what_is_protected(mirror: Mirror) -> None:
    m = mirror.folder
    assert mirror.search_path("/opt/bin:/usr/bin:/bin/:relative::/usr/sbin:/sbin") == (
        f"/opt/bin:{m}/usr/bin:{m}/bin:relative::{m}/usr/sbin:{m}/sbin"
    )


def test_a_protected_program_starts_as_its_copy(mirror: Mirror) -> None:
    mirror.refresh()
    argv = ("env", "A=1", "true")
    assert mirror.launch("/usr/bin/env", argv) == (mirror.copy_of("/usr/bin/env"), argv)
    assert mirror.launch("/usr/bin/link", argv) == (mirror.copy_of("/usr/bin/env"), argv)


def test_a_script_starts_by_the_copy_of_its_interpreter(mirror: Mirror) -> None:
    mirror.refresh()
    started = mirror.launch("/opt/tool", ("tool", "a b"))
    assert started == (mirror.copy_of("/bin/sh"), ("/bin/sh", "-e", "/opt/tool", "a b"))


def test_other_programs_start_as_they_are(mirror: Mirror, root: Path, arm64: bytes) -> None:
    mirror.refresh()
    put(root, "/opt/own", arm64)
    put(root, "/opt/ruby-script", b"#!/opt/ruby\n")
    for program in ("/opt/own", "/opt/ruby-script", "/opt/missing"):
        assert mirror.launch(program, ("x",)) == (program, ("x",))


def test_without_a_copy_the_program_itself_is_started(mirror: Mirror) -> None:
    assert mirror.launch("/bin/sh", ("sh",)) == ("/bin/sh", ("sh",))


@pytest.fixture
def codesign(tmp_path: Path) -> Path:
    """It notes what it was asked for, and fails."""
    return put(tmp_path, "/codesign", b'#!/bin/sh\nprintf "%s\\n" "$@" >> "$0.log"\nexit 1\n')


def test_codesign_signs_the_copies_before_they_are_in_place(
    root: Path, tmp_path: Path, codesign: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = Mirror(tmp_path / "mirror", root=root, machine="arm64", codesign=str(codesign))
    with caplog.at_level(logging.WARNING):
        mirror.refresh()
    words = Path(f"{codesign}.log").read_text().splitlines()
    assert words[:3] == ["--force", "--sign", "-"]
    signed = {re.sub(r".*/new-[^/]+", "", word) for word in words[3:]}
    assert signed == {"/bin/sh", "/sbin/route", "/usr/bin/env", "/usr/sbin/arp", "/usr/bin/plain"}
    assert "codesign ended with 1" in caplog.text
    assert signed_as(Path(mirror.copy_of("/bin/sh")).read_bytes()) == "sh"


def test_the_mirror_lies_in_the_users_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/Users/me")
    assert sip.default_folder() == Path("/Users/me/Library/Caches/telepresence/sip")


def test_a_launch_goes_by_the_copies(mirror: Mirror) -> None:
    environ = {b"PATH": b"/usr/bin:/opt", b"SHELL": b"/bin/sh", b"A": b"\xff"}
    launch = Launch(program="/opt/tool", argv=("tool", "1"), environ=environ)
    folder = os.fsencode(mirror.folder)
    assert sip.unprotected(launch, mirror) == Launch(
        program=mirror.copy_of("/bin/sh"),
        argv=("/bin/sh", "-e", "/opt/tool", "1"),
        environ={
            b"PATH": folder + b"/usr/bin:/opt",
            b"SHELL": folder + b"/bin/sh",
            b"A": b"\xff",
            b"TELEPRESENCE_SIP": folder,
        },
    )


def test_a_folder_that_cannot_be_written_is_named(root: Path, tmp_path: Path) -> None:
    put(tmp_path, "/file", b"")
    mirror = Mirror(tmp_path / "file" / "mirror", root=root)
    launch = Launch(program="/bin/sh", argv=("sh",), environ={})
    with pytest.raises(MethodError, match=r"file/mirror: Not a directory"):
        sip.unprotected(launch, mirror)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does protect its programs")
def test_elsewhere_nothing_is_protected() -> None:
    assert sip.system_mirror() is None


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (b"#! \t/bin/sh -e  -u # as ever\n", ["/bin/sh", "-e", "-u", "/opt/tool"]),
        (b"#!/bin/sh\t-e#x\n", ["/bin/sh", "-e", "/opt/tool"]),
        (b"#!/bin/sh\r\n", None),
        (b"#!/bin/sh", None),
        (b"#!\n", None),
        (b"#!" + b" " * 600 + b"/bin/sh\n", None),
    ],
)
def test_a_first_line_is_read_as_the_kernel_reads_it(
    mirror: Mirror, root: Path, script: bytes, words: list[str] | None
) -> None:
    mirror.refresh()
    put(root, "/opt/tool", script)
    _, argv = mirror.launch("/opt/tool", ("tool",))
    assert list(argv) == (words or ["tool"])
