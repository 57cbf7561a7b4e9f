"""A program that finds what it is given at the paths that it knows."""

import os
import subprocess
from pathlib import Path

import pytest

from telepresence.values import Launch, MountPoint
from telepresence.volumes.realpaths import REALPATHS, at_real_paths

DEADLINE_S = 20.0
NOBODY = 65534


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A pod's file system, with places that the laptop has and places that it has not."""
    for parent in list(tmp_path.parents)[:2]:
        parent.chmod(0o755)
    tmp_path.chmod(0o755)
    for name in ("telepresence-app/deep/secrets/key", "etc/telepresence.d/a", "etc/one.conf",
                 "srv/b", "usr/share/telepresence-x/c"):  # fmt: skip
        file = tmp_path / "fs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return tmp_path / "fs"


VOLUMES = ("/telepresence-app/deep/secrets", "/etc/telepresence.d", "/etc/one.conf", "/srv",
           "/usr/share/telepresence-x")  # fmt: skip
LOOK = """
cat /telepresence-app/deep/secrets/key /etc/telepresence.d/a /etc/one.conf /srv/b \
    /usr/share/telepresence-x/c; echo
id -u; pwd; grep CapEff /proc/self/status; ls -A /etc | wc -l; ls -A /usr/share | wc -l
echo x > /dev/null && test -d /proc/self && test -e /tmp && echo whole
exit 7
"""


@pytest.mark.parametrize("user", [0, NOBODY])
def test_volumes_are_at_their_own_paths_and_all_else_is_as_it_was(root: Path, user: int) -> None:
    if os.geteuid() != 0:
        pytest.skip("root and an ordinary user can both be tried by root alone")
    names = sorted(os.listdir("/"))  # noqa: PTH208
    program = root.parent / "realpaths"  # where anybody may read it
    program.write_bytes(REALPATHS.read_bytes())
    program.chmod(0o755)
    done = subprocess.run(
        [program, root, *VOLUMES, "--", "/bin/sh", "sh", "-c", LOOK],
        cwd=root, user=user, group=user, extra_groups=[], capture_output=True, text=True,
        timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert done.returncode == 7, done.stderr
    assert (
        lines[0] == "telepresence-app/deep/secrets/keyetc/telepresence.d/aetc/one.confsrv/b"
        "usr/share/telepresence-x/c"
    )
    assert lines[1:3] == [str(user), str(root)]
    assert (lines[3].split()[1] == "0" * 16) is (user != 0), "no capability is left"
    assert int(lines[4]) == len(os.listdir("/etc")) + 2  # noqa: PTH208
    assert int(lines[5]) == len(os.listdir("/usr/share")) + 1  # noqa: PTH208
    assert lines[6] == "whole"
    assert sorted(os.listdir("/")) == names, "the laptop has no new directory"  # noqa: PTH208
    assert not Path("/etc/one.conf").exists()


def test_what_is_not_there_is_named(root: Path) -> None:
    words = [REALPATHS, root, "/no/such", "--", "/bin/true", "true"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr == (
        f"telepresence-realpaths: cannot find {root}/no/such: No such file or directory\n"
    )


def test_this_kernel_is_asked_beforehand() -> None:
    assert subprocess.run([REALPATHS, "--check"], check=False).returncode == 0


def test_a_launch_is_wrapped_and_what_would_hide_it_stays_out() -> None:
    paths = (b"/", b"/proc", b"/data", b"/tmp", b"/usr", b"/a b")
    mounts = tuple(MountPoint(path=path, read_only=False) for path in paths)
    launch = Launch(program="/usr/bin/env", argv=("env", "-0"), environ={b"A": b"1"})
    wrapped, notes = at_real_paths(launch, Path("/tmp/t/fs"), mounts)
    assert wrapped.program == str(REALPATHS)
    assert wrapped.argv[1:] == ("/tmp/t/fs", "/a b", "/data", "--", "/usr/bin/env", "env", "-0")
    assert wrapped.environ == launch.environ
    assert notes == [
        "the volume /tmp is at /tmp/t/fs/tmp alone: it would hide what runs here",
        "the volume /usr is at /tmp/t/fs/usr alone: it would hide what runs here",
    ]
