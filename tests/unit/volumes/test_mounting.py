"""What is mounted: this machine's, and what a Mac would say of its own."""

import asyncio
from pathlib import Path

from telepresence.volumes.mounting import is_mounted, mounted, take_macos_mounts, unmount

MACOS = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
web-1:/ on /private/var/folders/x/telepresence-a/fs (macfuse, nodev, nosuid, mounted by me)
web-1:/data on /Users/me/a place (1) (macfuse, nobrowse)
"""


def test_macos_is_read_by_its_mount_command() -> None:
    assert [str(place) for place in take_macos_mounts(MACOS)] == [
        "/", "/dev", "/System/Volumes/Data/home", "/private/var/folders/x/telepresence-a/fs",
        "/Users/me/a place (1)",
    ]  # fmt: skip
    assert take_macos_mounts("") == []


def test_this_machine_has_its_root_and_proc() -> None:
    assert {Path("/"), Path("/proc")} <= set(mounted())
    assert is_mounted(Path("/proc"))
    assert not is_mounted(Path("/proc/self"))


def test_what_is_no_mount_and_programs_that_are_missing_do_no_harm(tmp_path: Path) -> None:
    for platform in ("linux", "darwin", "other"):
        asyncio.run(unmount(tmp_path, platform))
    assert tmp_path.is_dir()
