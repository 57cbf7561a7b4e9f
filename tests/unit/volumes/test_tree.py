"""The pod's file system under one directory: real sshfs, this machine in the pod's place."""

import asyncio
import contextlib
import dataclasses
import errno
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from fuse import Servers, need_fuse

from telepresence.errors import MethodError
from telepresence.values import Mounting, MountPoint, Plan, Pod
from telepresence.volumes.mounting import is_mounted, wait_mounted
from telepresence.volumes.tree import Tree, parts

DEADLINE_S = 30.0
POD = Pod(name="p-1", namespace="prod", container="main")
PLAN = Plan(
    context="east",
    namespace="prod",
    kubectl="/usr/bin/kubectl",
    pod_name="p-1",
    image="agent:1",
    session=bytes(16),
    secret=bytes(32),
    method="inject-tcp",
    shim=None,
    program="/bin/sh",
    argv=("sh",),
    is_shell=False,
    environ={},
    mount=Mounting(mode="fuse"),
)


def mount(path: str, *, ro: bool) -> MountPoint:
    return MountPoint(path=path.encode(), read_only=ro)


def test_what_differs_from_the_mount_above_is_a_mount_of_its_own() -> None:
    mounts = (
        mount("/", ro=True), mount("/proc", ro=False), mount("/config", ro=True),
        mount("/data", ro=False), mount("/data/keys", ro=True), mount("/data/more", ro=False),
        mount("/database", ro=True), mount("/etc/hosts", ro=False),
    )  # fmt: skip
    apart = parts(mounts, says_erofs=False)
    assert [part.path for part in apart] == [b"/", b"/data", b"/data/keys"]
    assert parts(mounts, says_erofs=True) == [mount("/", ro=False)]
    frozen = (mount("/", ro=True), mount("/config", ro=True))
    assert parts(frozen, says_erofs=True) == [mount("/", ro=True)]
    assert parts((), says_erofs=True) == parts((), says_erofs=False) == [mount("/", ro=False)]


@pytest.fixture
def servers() -> Iterator[Servers]:
    need_fuse()
    with contextlib.closing(Servers()) as made:
        yield made


Look = Callable[[Path], Awaitable[None]]


def inside(
    servers: Servers,
    mounts: tuple[MountPoint, ...],
    look: Look,
    plan: Plan = PLAN,
    specified: tuple[MountPoint, ...] = (),
) -> Path:
    """Run `look` on the mounted root; returns the root, where nothing may be mounted any more."""

    async def scene() -> Path:
        async with (
            asyncio.timeout(DEADLINE_S),
            Tree(plan, dataclasses.replace(POD, mounts=specified)) as tree,
            tree.joined(servers.open_service, mounts),
        ):
            assert await tree.ready() == ""
            assert tree.root is not None
            await look(tree.root)
        return tree.root

    root = asyncio.run(scene())
    assert not is_mounted(root)
    return root


def test_files_are_the_pods_and_belong_to_the_user(servers: Servers, tmp_path: Path) -> None:
    (tmp_path / "a name\nof two lines").write_bytes(b"\xff")
    os.chown(tmp_path, 1234, 1234)

    async def look(root: Path) -> None:
        seen = root / tmp_path.relative_to("/")
        assert await asyncio.to_thread(os.listdir, seen) == ["a name\nof two lines"]
        read = (seen / "a name\nof two lines").read_bytes
        assert await asyncio.to_thread(read) == b"\xff"
        status = await asyncio.to_thread(seen.stat)
        assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())

    assert not inside(servers, (mount("/", ro=True),), look).parent.exists()


def test_read_only_says_so_and_writable_volumes_can_be_written(
    servers: Servers, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    mounts = (mount("/", ro=True), mount(f"{tmp_path}/data", ro=False))

    async def look(root: Path) -> None:
        seen = root / tmp_path.relative_to("/")
        with pytest.raises(OSError) as caught:
            await asyncio.to_thread((seen / "x").write_text, "x")
        assert caught.value.errno == errno.EROFS
        await asyncio.to_thread((seen / "data" / "x").write_text, "written")
        assert (tmp_path / "data" / "x").read_text() == "written"

    inside(servers, mounts, look)


def test_links_are_followed_in_the_pod_and_never_on_the_laptop(
    servers: Servers, tmp_path: Path
) -> None:
    """Had the laptop's kernel followed it, /proc/self would be the reader's own process."""
    (tmp_path / "self").symlink_to("/proc/self/comm")
    (tmp_path / "up").symlink_to("../" * 20 + "proc/self/comm")
    (tmp_path / "..v1").mkdir()
    (tmp_path / "..v1" / "key").write_text("value")
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "key").symlink_to("..data/key")

    async def look(root: Path) -> None:
        seen = root / tmp_path.relative_to("/")
        for name, content in (("self", "sftp-server\n"), ("up", "sftp-server\n"), ("key", "value")):
            program = f"print(end=open({str(seen / name)!r}).read())"
            read = await asyncio.create_subprocess_exec(
                sys.executable, "-c", program, stdout=subprocess.PIPE
            )
            said, _ = await read.communicate()
            assert said.decode() in (content, "")  # /proc's files have no size

    inside(servers, (mount("/", ro=True),), look)


def test_locks_are_refused_in_so_many_words(servers: Servers, tmp_path: Path) -> None:
    """And files that nobody locks are opened, written and closed as ever."""
    (tmp_path / "x").write_text("x")
    program = """
import errno, fcntl, os, sys
with open(sys.argv[1], "r+") as file:
    for lock in (fcntl.flock, fcntl.lockf):
        for kind in (fcntl.LOCK_EX, fcntl.LOCK_SH | fcntl.LOCK_NB):
            try:
                print(lock(file, kind))
            except OSError as exc:
                print(errno.errorcode[exc.errno])
        print(lock(file, fcntl.LOCK_UN))
    print(file.write("y"))
"""

    async def look(root: Path) -> None:
        file = root / tmp_path.relative_to("/") / "x"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(file), stdout=subprocess.PIPE
        )
        said, _ = await process.communicate()
        assert said.decode().split() == ["ENOLCK", "ENOLCK", "None"] * 2 + ["1"]
        assert process.returncode == 0

    inside(servers, (), look)
    assert (tmp_path / "x").read_text() == "y"


def test_every_change_of_a_read_only_volume_is_refused_and_none_beside_it(
    servers: Servers, tmp_path: Path
) -> None:
    """Here the far end would allow it all: the refusal is the mount's."""
    for name in ("config", "config-of-another", "config/deep/scratch"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x").write_text("kept")
    mounts = (mount("/", ro=False), mount(f"{tmp_path}/config", ro=True),
              mount(f"{tmp_path}/config/deep/scratch", ro=False))  # fmt: skip

    def changes(folder: Path) -> dict[str, Callable[[], object]]:
        return {
            "create": lambda: (folder / "new").write_text("x"),
            "mkdir": lambda: (folder / "d").mkdir(), "rmdir": lambda: (folder / "d").rmdir(),
            "rename": lambda: (folder / "new").rename(folder / "other"),
            "open": lambda: (folder / "x").open("r+").close(),
            "link": lambda: (folder / "h").hardlink_to(folder / "x"),
            "access": lambda: os.access(folder, os.W_OK) or os.strerror(errno.EROFS),
            "unlink": lambda: (folder / "x").unlink(),
        }  # fmt: skip

    async def look(root: Path) -> None:
        seen = root / tmp_path.relative_to("/")
        for name in ("config-of-another", "config/deep/scratch"):
            for change in changes(seen / name).values():
                await asyncio.to_thread(change)
        frozen = changes(seen / "config")
        frozen["symlink"] = lambda: (seen / "config" / "l").symlink_to("x")
        assert await asyncio.to_thread(frozen.pop("access")) == os.strerror(errno.EROFS)
        for way, change in frozen.items():
            with pytest.raises(OSError) as caught:
                await asyncio.to_thread(change)
            expected = {"rmdir": errno.ENOENT, "rename": errno.ENOENT}  # what is not there
            assert caught.value.errno == expected.get(way, errno.EROFS), way

    inside(servers, mounts, look)
    assert sorted(path.name for path in (tmp_path / "config").iterdir()) == ["deep", "x"]


def test_a_single_file_that_is_read_only_says_so(servers: Servers, tmp_path: Path) -> None:
    """Here the far end would allow it all: the refusal is the mount's."""
    for name in ("one", "one.more"):
        (tmp_path / name).write_text("kept")
    mounts = (mount("/", ro=False), mount(f"{tmp_path}/one", ro=True))

    async def look(root: Path) -> None:
        seen = root / tmp_path.relative_to("/")
        one = seen / "one"
        changes: tuple[Callable[[], object], ...] = (
            lambda: one.write_text("x"), lambda: one.open("a"), lambda: one.open("r+"),
            lambda: os.truncate(one, 0), lambda: one.chmod(0o600), lambda: os.utime(one, (1, 1)),
            lambda: os.chown(one, 0, 0),
        )  # fmt: skip
        for change in changes:
            with pytest.raises(OSError) as caught:
                await asyncio.to_thread(change)
            assert caught.value.errno == errno.EROFS
        assert await asyncio.to_thread(one.read_text) == "kept"
        await asyncio.to_thread((seen / "one.more").write_text, "changed")
        await asyncio.to_thread((seen / "one.more").chmod, 0o600)

    inside(servers, mounts, look)
    assert (tmp_path / "one").read_text() == "kept"
    assert (tmp_path / "one.more").read_text() == "changed"


def test_it_is_unmounted_while_a_file_is_open(servers: Servers, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x" * 100)
    holders: list[subprocess.Popen[bytes]] = []

    async def look(root: Path) -> None:
        file = root / tmp_path.relative_to("/") / "x"
        holder = await asyncio.to_thread(
            subprocess.Popen,
            ["sh", "-c", f"exec < {file}; echo; exec sleep 60"],
            stdout=subprocess.PIPE,
        )
        assert holder.stdout is not None
        await asyncio.to_thread(holder.stdout.readline)
        holders.append(holder)

    try:
        inside(servers, (mount("/", ro=True),), look)
    finally:
        for holder in holders:
            holder.kill()
            holder.communicate()


def test_a_place_of_the_users_is_made_and_stays(servers: Servers, tmp_path: Path) -> None:
    place = tmp_path / "new" / "place"
    plan = dataclasses.replace(PLAN, mount=Mounting(mode="fuse", path=place, is_required=True))

    async def look(root: Path) -> None:
        assert root == place
        assert is_mounted(place)

    inside(servers, (mount("/", ro=True),), look, plan)
    assert place.is_dir()
    assert list(place.iterdir()) == []


def test_a_place_behind_a_link_is_found_again(servers: Servers, tmp_path: Path) -> None:
    """As /tmp is one on macOS."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    place = tmp_path / "link" / "place"
    plan = dataclasses.replace(PLAN, mount=Mounting(mode="fuse", path=place, is_required=True))

    async def look(root: Path) -> None:
        assert root == place
        assert is_mounted(tmp_path / "real" / "place")

    inside(servers, (mount("/", ro=True),), look, plan)
    assert not is_mounted(tmp_path / "real" / "place")


@pytest.mark.parametrize("required", [True, False])
def test_an_sshfs_that_fails_ends_the_session_only_if_volumes_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, required: bool
) -> None:
    """An executable in sshfs's place, as no real one fails on demand."""
    fake = tmp_path / "sshfs"
    fake.write_text("#!/bin/sh\necho fuse: no permission >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    need_fuse()
    plan = dataclasses.replace(PLAN, mount=Mounting(mode="fuse", is_required=required))

    async def scene() -> str:
        with contextlib.closing(Servers()) as servers:
            async with Tree(plan, POD) as tree, tree.joined(servers.open_service, ()):
                return await tree.ready()

    if required:
        with pytest.raises(MethodError, match="fuse: no permission"):
            asyncio.run(scene())
    else:
        assert "fuse: no permission: the command has no volumes" in asyncio.run(scene())


def test_the_root_is_mounted_before_there_is_anybody_to_ask(
    servers: Servers, tmp_path: Path
) -> None:
    """So it costs the start nothing: the tunnel is made meanwhile."""
    (tmp_path / "x").write_text("x")
    root = (mount("/", ro=True),)

    async def scene() -> None:
        async with (
            asyncio.timeout(DEADLINE_S),
            Tree(PLAN, dataclasses.replace(POD, mounts=root)) as tree,
        ):
            assert tree.root is not None
            await wait_mounted(tree.root)
            file = tree.root / tmp_path.relative_to("/") / "x"
            reading = asyncio.ensure_future(asyncio.to_thread(file.read_text))
            async with tree.joined(servers.open_service, root):
                assert await reading == "x"
                assert await tree.ready() == ""
            assert not is_mounted(tree.root)

    asyncio.run(scene())


def test_no_mount_is_overlooked(servers: Servers) -> None:
    """Whenever it comes, and by the loop that telepresence runs on, in a process of its own, as
    that keeps a pipe for good."""
    program = """
import asyncio, uvloop
from test_tree import PLAN, POD, Tree, wait_mounted
async def scene():
    for _ in range(30):
        async with asyncio.timeout(3), Tree(PLAN, POD) as tree:
            await wait_mounted(tree.root)
uvloop.run(scene())
"""
    subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parent, check=True, timeout=DEADLINE_S
    )


def test_a_tunnel_that_never_comes_leaves_no_mount(servers: Servers) -> None:
    async def scene() -> Path:
        async with asyncio.timeout(DEADLINE_S), Tree(PLAN, POD) as tree:
            assert tree.root is not None
            await wait_mounted(tree.root)
        return tree.root

    root = asyncio.run(scene())
    assert not is_mounted(root)
    assert not root.parent.exists()


def test_a_root_that_is_not_as_specified_is_mounted_anew(servers: Servers, tmp_path: Path) -> None:
    """As by a container runtime that makes every root read-only."""

    async def look(root: Path) -> None:
        with pytest.raises(OSError) as caught:
            await asyncio.to_thread((root / tmp_path.relative_to("/") / "x").write_text, "x")
        assert caught.value.errno == errno.EROFS

    inside(servers, (mount("/", ro=True),), look, specified=(mount("/", ro=False),))


def test_nothing_is_done_without_volumes() -> None:
    async def scene() -> None:
        plan = dataclasses.replace(PLAN, mount=Mounting(mode="none"))
        async with Tree(plan, POD) as tree, tree.joined(Servers().open_service, ()):
            assert await tree.ready() == ""
            assert tree.root is None

    asyncio.run(scene())
