"""What the kernel says of mounts, and which of them are volumes."""

from pathlib import Path

import pytest

from telepresence.mountinfo import is_in_memory, is_volume, take_mounts
from telepresence.values import MountPoint

LINES = rb"""600 500 0:50 / / ro,relatime master:3 - overlay overlay rw,lowerdir=/x
601 600 0:51 / /proc rw,nosuid,nodev,noexec - proc proc rw
602 600 254:0 /a\040b /var/odd\040\134name\011 rw - ext4 /dev/vda rw,errors=remount-ro
603 600 0:53 / /secret rw,relatime - tmpfs tmpfs ro,size=4k
604 600 254:0 /sub /etc/app/config.yaml ro,relatime shared:1 master:2 - ext4 /dev/vda rw
605 600 0:60 / /twice rw - tmpfs tmpfs rw
606 605 0:61 / /twice ro - tmpfs tmpfs rw

not a line
"""


def test_paths_are_unescaped_and_either_flag_makes_a_mount_read_only() -> None:
    seen = {mount.path: mount.read_only for mount in take_mounts(LINES)}
    assert seen == {
        b"/": True,
        b"/proc": False,
        b"/var/odd \\name\t": False,
        b"/secret": True,
        b"/etc/app/config.yaml": True,
        b"/twice": True,
    }


def test_this_machines_own_can_be_read() -> None:
    mounts = {mount.path for mount in take_mounts(Path("/proc/self/mountinfo").read_bytes())}
    assert {b"/", b"/proc"} <= mounts


@pytest.mark.parametrize(
    ("path", "in_memory"),
    [
        (b"/twice/a", True),
        (b"/twice", True),
        (b"/twicer", False),
        (b"/secret", True),
        (b"/", False),
    ],
)
def test_what_is_in_memory_is_on_no_disk(path: bytes, in_memory: bool) -> None:
    assert is_in_memory(LINES, path) is in_memory


@pytest.mark.parametrize(
    ("path", "volume"),
    [
        (b"/", False), (b"/proc", False), (b"/proc/sys", False), (b"/process", True),
        (b"/dev/shm", False), (b"/dev/termination-log", False), (b"/etc/hosts", False),
        (b"/etc/hostname", False), (b"/etc/resolv.conf", False), (b"/etc/app", True),
        (b"/var/run/secrets/kubernetes.io/serviceaccount", True), (b"/\xff", True),
    ],
)  # fmt: skip
def test_what_every_container_has_is_no_volume(path: bytes, volume: bool) -> None:
    assert is_volume(MountPoint(path=path, read_only=True)) is volume
