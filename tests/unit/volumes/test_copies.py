"""Volumes as files of the laptop: the agent's own service at the far end, a kubelet's writes."""

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from telepresence.agent.snapshots import snapshots
from telepresence.errors import MethodError, ProtocolError, TunnelError
from telepresence.snapshot import File, Snapshot, make_snapshot
from telepresence.values import Pod
from telepresence.volumes.copies import Copies, put_volume

DEADLINE_S = 20.0


class Kubelet:
    """A volume, written as Kubernetes' atomic_writer.go does."""

    def __init__(self, place: Path) -> None:
        self.place, self._version = place, 0
        place.mkdir(parents=True)

    def write(self, files: dict[str, bytes], mode: int = 0o644) -> None:
        self._version += 1
        folder = self.place / f"..2026_{self._version}"
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
            (folder / name).chmod(mode)
        (self.place / "..data_tmp").symlink_to(folder.name)
        (self.place / "..data_tmp").rename(self.place / "..data")
        for top in {name.partition("/")[0] for name in files}:
            if not (self.place / top).is_symlink():
                (self.place / top).symlink_to(f"..data/{top}")
        for old in self.place.iterdir():
            if old.is_dir() and not old.is_symlink() and old != folder:
                shutil.rmtree(old)
            elif not old.exists():
                old.unlink()


class Agent:
    """Each stream is served by the agent's own service."""

    def __init__(self) -> None:
        self._served: list[asyncio.Task[None]] = []

    async def open_service(self, name: str) -> socket.socket:
        assert name == "snapshots"
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        self._served.append(asyncio.ensure_future(self._serve(far)))
        await asyncio.sleep(0)
        return near

    async def _serve(self, stream: socket.socket) -> None:
        with contextlib.closing(stream):
            await snapshots(stream)

    async def end(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(*self._served)


def pod(*places: Path, others: tuple[bytes, ...] = ()) -> Pod:
    return Pod(name="p", namespace="n", container="c",
               projections=tuple(map(os.fsencode, places)), other_volumes=others)  # fmt: skip


def inside(of: Pod, root: Path, look: Callable[[Path], Awaitable[None]]) -> str:
    """Run `look` on the copies; returns what the user hears."""

    async def scene() -> str:
        agent = Agent()
        async with asyncio.timeout(DEADLINE_S), Copies(root, of, agent.open_service) as copies:
            said = await copies.ready()
            await look(copies.root)
        await agent.end()
        return said

    said = asyncio.run(scene())
    assert not root.exists()
    return said


def held(folder: Path) -> dict[str, bytes]:
    """What a program that walks through it finds, but for kubelet's own names."""
    found = {}
    for above, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith("..")]
        for name in names:
            path = Path(above, name)
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.005)


def test_files_come_with_their_content_and_rights_and_are_renewed(tmp_path: Path) -> None:
    kubelet, root = Kubelet(tmp_path / "etc" / "config"), tmp_path / "root"
    first = {"key": b"value", "bytes": b"\xff\0", "deep/er/name": b"x", "a b\nc": b""}
    kubelet.write(first, mode=0o440)

    async def look(root: Path) -> None:
        assert root.stat().st_mode & 0o777 == 0o700
        place = root / kubelet.place.relative_to("/")
        assert held(place) == first
        assert (place / "key").stat().st_mode & 0o777 == 0o440
        assert (place / "key").readlink() == Path("..data/key")
        second = {"key": b"changed", "deep/other": b"y", "added": b"z"}
        kubelet.write(second)
        await until(lambda: (place / "added").exists() and not (place / "bytes").is_symlink())
        assert held(place) == second
        await until(lambda: len(list(place.glob("..[0-9]*"))) == 1)
        kubelet.write({})
        await until(lambda: held(place) == {})

    assert inside(pod(kubelet.place), root, look) == ""


def test_a_reader_never_sees_half_a_change(tmp_path: Path) -> None:
    """Two files that always say the same, read through the link that kubelet's readers use."""
    kubelet = Kubelet(tmp_path / "v")
    kubelet.write({"a": b"0", "b": b"0"})

    async def look(root: Path) -> None:
        place = root / kubelet.place.relative_to("/")
        for number in range(1, 40):
            kubelet.write({"a": b"%d" % number, "b": b"%d" % number})
            await asyncio.sleep(0.002)
            with contextlib.suppress(FileNotFoundError):  # what it was opened by is gone since
                folder = os.open((place / "..data").resolve(), os.O_RDONLY)
                try:
                    said = {Path(f"/proc/self/fd/{folder}/{name}").read_bytes() for name in "ab"}
                finally:
                    os.close(folder)
                assert len(said) == 1
        await until(lambda: (place / "a").read_bytes() == b"39")

    inside(pod(kubelet.place), tmp_path / "root", look)


def test_a_volume_that_is_a_file_and_one_within_another(tmp_path: Path) -> None:
    kubelet = Kubelet(tmp_path / "config")
    kubelet.write({"key": b"of the directory", "other": b"1"})
    (tmp_path / "one.conf").write_bytes(b"alone")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x").write_bytes(b"of a subPath")
    places = (kubelet.place, tmp_path / "one.conf", tmp_path / "sub")

    async def look(root: Path) -> None:
        seen = root / tmp_path.relative_to("/")
        assert (seen / "one.conf").read_bytes() == b"alone"
        assert (seen / "sub" / "x").read_bytes() == b"of a subPath"
        (seen / "config" / "key").unlink()
        (seen / "config" / "key").write_bytes(b"of another volume")
        kubelet.write({"key": b"of the directory", "other": b"2"})
        await until(lambda: (seen / "config" / "other").read_bytes() == b"2")
        assert (seen / "config" / "key").read_bytes() == b"of another volume"

    inside(pod(*places), tmp_path / "root", look)


def test_what_is_not_copied_is_named(tmp_path: Path) -> None:
    async def look(root: Path) -> None:
        assert list(root.iterdir()) == []

    said = inside(pod(others=(b"/claim", b"/scratch")), tmp_path / "root", look)
    assert said == (
        "--mount copy leaves out /claim, /scratch: only what Kubernetes itself writes is copied"
    )


def test_a_place_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Copies(tmp_path / "no" / "root", pod(), Agent().open_service):
            pass

    with pytest.raises(MethodError, match=f"cannot be in {tmp_path}/no/root: No such file"):
        asyncio.run(scene())


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"", TunnelError),
        (make_snapshot(Snapshot(number=5, files=())), ProtocolError),
        (make_snapshot(Snapshot(number=0, files=(File(path=b"../x", mode=0, content=b""),))),
         ProtocolError),
    ],
)  # fmt: skip
def test_an_agent_that_breaks_the_protocol_ends_it(
    tmp_path: Path, sent: bytes, error: type[Exception]
) -> None:
    async def open_service(name: str) -> socket.socket:
        near, far = socket.socketpair()
        near.setblocking(False)
        with far:
            far.sendall(sent)
            far.shutdown(socket.SHUT_WR)
            streams.append(far.dup())
        return near

    async def scene() -> None:
        async with Copies(tmp_path / "root", pod(tmp_path / "x"), open_service) as copies:
            await copies.ready()

    streams: list[socket.socket] = []
    try:
        with pytest.raises(error):
            asyncio.run(scene())
    finally:
        for stream in streams:
            stream.close()
    assert not (tmp_path / "root").exists()


def test_a_volume_that_becomes_empty_stays_a_directory(tmp_path: Path) -> None:
    put_volume(tmp_path / "v", (File(path=b"x", mode=0o600, content=b"1"),), 1)
    put_volume(tmp_path / "v", (), 2)
    assert sorted(path.name for path in (tmp_path / "v").iterdir()) == ["..2", "..data"]
