"""What stands between sshfs and the tunnel, as a program between two sockets.

The far end is a real sftp-server, or this test where an answer is to be late."""

import contextlib
import os
import random
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sftp_wire import (
    ATTRS,
    CLOSE,
    DATA,
    DEADLINE_S,
    FSTAT,
    HANDLE,
    NAME,
    NO_CONNECTION,
    OPEN,
    OPENDIR,
    READ,
    READDIR,
    STAT,
    STATUS,
    WRITE,
    Scene,
    Wire,
    read,
    status,
    text,
)

from telepresence.agent.services import ANY_USER, SFTP_SERVER
from telepresence.values import MountPoint
from telepresence.volumes.sshfs import modes, options_for


@pytest.fixture(autouse=True)
def sftp_server() -> None:
    if not Path(SFTP_SERVER).exists():
        pytest.skip(f"there is no {SFTP_SERVER} on this machine")


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """As kubelet makes a ConfigMap's: links to links."""
    folder = tmp_path / "config"
    (folder / "..v1").mkdir(parents=True)
    (folder / "..data").symlink_to("..v1")
    for number in range(300):
        (folder / "..v1" / f"key{number}").write_text(f"value {number}")
        (folder / f"key{number}").symlink_to(f"..data/key{number}")
    (folder / "big").write_bytes(b"b" * 40_000)
    (folder / "gone").symlink_to("nowhere")
    return folder


@pytest.fixture
def scene(volume: Path) -> Iterator[Scene]:
    with contextlib.closing(Scene(volume)) as made:
        yield made


def test_a_listed_volumes_small_files_need_the_pod_no_more(scene: Scene, volume: Path) -> None:
    names = scene.client.names(bytes(volume))
    assert len(names) == 306
    assert names[b"key7"] & 0o170000 == 0o100000, "a link is shown as what it leads to"
    assert names[b"..data"] & 0o170000 == 0o040000
    assert names[b"gone"] & 0o170000 == 0o120000
    assert read(scene.client, volume / "key299") == b"value 299"
    scene.freeze()
    for number in range(300):
        assert read(scene.client, volume / f"key{number}") == f"value {number}".encode()
    kind, attrs = scene.client.call(STAT, text(bytes(volume / "key7")))
    assert (kind, attrs[4:12]) == (ATTRS, struct.pack("!Q", 7))
    handle = scene.client.open(bytes(volume / "key7"))
    assert scene.client.call(FSTAT, handle) == (ATTRS, attrs)


def test_what_is_large_or_elsewhere_is_asked_of_the_pod(scene: Scene, volume: Path) -> None:
    other = volume.parent / "other"
    other.mkdir()
    (other / "x").write_text("before")
    scene.client.names(bytes(volume))
    scene.client.names(bytes(other))
    (other / "x").write_text("after")
    assert read(scene.client, other / "x") == b"after"
    assert read(scene.client, volume / "big") == b"b" * 40_000
    assert len(scene.client.open(bytes(volume / "big"))) == 8


def test_a_change_through_the_mount_is_seen_at_once(scene: Scene, volume: Path) -> None:
    scene.client.names(bytes(volume))
    assert read(scene.client, volume / "key1") == b"value 1"
    handle = scene.client.open(bytes(volume / "key1"), flags=2)
    scene.client.call(WRITE, handle + struct.pack("!Q", 0) + text(b"VALUE"))
    scene.client.call(CLOSE, handle)
    assert read(scene.client, volume / "key1") == b"VALUE 1"


def test_a_change_in_the_pod_is_seen_in_seconds(scene: Scene, volume: Path) -> None:
    scene.client.names(bytes(volume))
    assert read(scene.client, volume / "key1") == b"value 1"
    (volume / "..v1" / "key1").write_text("changed")
    deadline = time.monotonic() + 3
    while read(scene.client, volume / "key1") != b"changed":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_silent_pod_is_an_error_in_time_and_no_more_when_it_speaks_again(volume: Path) -> None:
    with contextlib.closing(Scene(volume, silence_s=0.5)) as scene:
        client = scene.client
        kept = client.open(bytes(volume / "big"))
        scene.freeze()
        began = time.monotonic()
        lost = [client.ask(OPEN, text(bytes(volume / "big")) + struct.pack("!II", 1, 0))]
        lost += [client.ask(READ, kept + struct.pack("!QI", 0, 10)) for _ in range(3)]
        while lost:
            kind, number, body = client.take()
            assert (kind, status(body)) == (STATUS, NO_CONNECTION)
            lost.remove(number)
        assert 0.4 < time.monotonic() - began < 3
        began = time.monotonic()
        assert client.call(STAT, text(b"/"))[0] == STATUS
        assert time.monotonic() - began < 0.3, "while it is lost, the error comes at once"
        scene.thaw()
        deadline = time.monotonic() + DEADLINE_S
        while (answer := client.call(READ, kept + struct.pack("!QI", 0, 10)))[0] == STATUS:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert answer == (DATA, text(b"b" * 10))
        assert read(client, volume / "key3") == b"value 3"
        assert scene.server is not None
        if os.geteuid() != 0:  # sftp-server lets nobody else look: prctl(2), PR_SET_DUMPABLE
            return
        held = os.listdir(f"/proc/{scene.server.pid}/fd")  # noqa: PTH208 # names alone
        targets = [os.readlink(f"/proc/{scene.server.pid}/fd/{fd}") for fd in held]  # noqa: PTH115
        assert targets.count(str(volume / "big")) == 1, "what nobody waited for was closed"


def test_files_on_their_way_fail_when_the_pod_falls_silent(volume: Path) -> None:
    with contextlib.closing(Scene(volume, silence_s=0.5, server=False)) as scene:
        client, far = scene.client, scene.far
        client.ask(OPENDIR, text(bytes(volume)))
        _, number, _ = far.take()
        far.put(HANDLE, number, text(b"hand"))
        client.take()
        client.ask(READDIR, text(b"hand"))
        _, number, _ = far.take()
        attrs = struct.pack("!IQIIIII", 0xF, 5, 0, 0, 0o100644, 0, 0)
        entries = b"".join(text(b"f%d" % n) + text(b"") + attrs for n in range(600))
        far.put(NAME, number, struct.pack("!I", 600) + entries)
        assert client.take()[0] == NAME
        waiting = [
            client.ask(OPEN, text(b"%s/f%d" % (bytes(volume), n)) + struct.pack("!II", 1, 0))
            for n in (0, 599)
        ]
        for _ in range(2):
            kind, number, body = client.take()
            waiting.remove(number)
            assert (kind, status(body)) == (STATUS, NO_CONNECTION)


def test_either_end_ends_it_and_so_does_what_is_no_sftp() -> None:
    for close_far in (True, False):
        with contextlib.closing(Scene(server=False)) as scene:
            end, other = (scene.far, scene.client) if close_far else (scene.client, scene.far)
            end.sock.close()
            assert other.sock.recv(1) == b""
    scene = Scene(server=False)
    scene.client.sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert scene.relay.wait(DEADLINE_S) == 1
    scene.client.sock.close()
    scene.far.sock.close()


def test_a_user_without_an_entry_can_have_an_sftp_server() -> None:
    if os.geteuid() != 0:
        pytest.skip("another user can be taken by root alone")
    words = ["setpriv", "--reuid", "123456", "--clear-groups", "--regid", "0", SFTP_SERVER]
    for env, answer in (({}, b""), ({"LD_PRELOAD": str(ANY_USER)}, b"\2\0\0\0\3")):
        server = subprocess.Popen(
            words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert server.stdin is not None
        assert server.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            server.stdin.write(struct.pack("!IBI", 5, 1, 3))
            server.stdin.flush()
        assert server.stdout.read(9)[4:] == answer
        with contextlib.suppress(BrokenPipeError):
            server.communicate(timeout=DEADLINE_S)


PART = 64 * 1024  # what sshfs asks for


@pytest.fixture
def large(volume: Path) -> Path:
    file = volume / "large"
    file.write_bytes(os.urandom(5_000_001))
    return file


def part(client: Wire, handle: bytes, offset: int, size: int = PART) -> bytes:
    kind, body = client.call(READ, handle + struct.pack("!QI", offset, size))
    return body[4:] if kind == DATA else b""


def run(client: Wire, handle: bytes, begin: int, end: int) -> bytes:
    return b"".join(part(client, handle, offset) for offset in range(begin, end, PART))


def test_what_comes_next_of_a_file_is_there_before_it_is_asked_for(
    scene: Scene, large: Path
) -> None:
    handle = scene.client.open(bytes(large))
    begun = run(scene.client, handle, 0, 1 << 20)
    scene.client.call(STAT, text(b"/"))  # after all that was asked before
    scene.freeze()
    begun += run(scene.client, handle, 1 << 20, (1 << 20) + (1 << 19))
    assert begun == large.read_bytes()[: len(begun)]
    scene.thaw()
    assert begun + run(scene.client, handle, len(begun), 5_000_001) == large.read_bytes()


def test_reads_in_any_order_get_their_own_bytes(scene: Scene, large: Path) -> None:
    held, chance = large.read_bytes(), random.Random(1)
    handles = [scene.client.open(bytes(large)) for _ in range(3)]
    at, asked = [0, 1_000_000, 3], {}
    for _ in range(400):
        which = chance.randrange(3)
        if chance.random() < 0.02:
            at[which] = chance.randrange(len(held))
        size = chance.choice((1, 4096, PART, PART, PART, 100_000))
        offset = max(0, at[which] + chance.choice((0, 0, 0, -PART, PART)))
        at[which] += size
        asked[scene.client.ask(READ, handles[which] + struct.pack("!QI", offset, size))] = held[
            offset : offset + size
        ]
        while len(asked) > chance.randrange(12):
            kind, number, body = scene.client.take()
            assert (body[4:] if kind == DATA else b"") == asked.pop(number)


def test_a_file_that_grows_or_changes_while_it_is_read_is_seen_so(
    scene: Scene, large: Path
) -> None:
    handle, held = scene.client.open(bytes(large)), large.read_bytes()
    assert run(scene.client, handle, 0, len(held)) == held
    assert part(scene.client, handle, len(held)) == b""
    for number in range(20):
        with large.open("ab") as file:
            file.write(b"%d" % number * PART)
        assert part(scene.client, handle, len(held)) == (b"%d" % number * PART)[:PART]
        held = large.read_bytes()
    assert run(scene.client, handle, 0, 1 << 20) == held[: 1 << 20]
    with large.open("r+b") as file:
        file.seek(1 << 20)
        file.write(b"!" * PART)
    time.sleep(2.1)  # as long as anything is kept
    assert part(scene.client, handle, 1 << 20) == b"!" * PART


def test_what_is_written_is_read_at_once(scene: Scene, large: Path) -> None:
    handle, other = scene.client.open(bytes(large)), scene.client.open(bytes(large), flags=2)
    run(scene.client, handle, 0, 1 << 20)
    scene.client.call(WRITE, other + struct.pack("!Q", 1 << 20) + text(b"?" * 10))
    assert part(scene.client, handle, 1 << 20, 10) == b"?" * 10


def test_a_file_that_is_read_when_the_pod_falls_silent(volume: Path, large: Path) -> None:
    with contextlib.closing(Scene(volume, silence_s=0.5)) as scene:
        handle = scene.client.open(bytes(large))
        run(scene.client, handle, 0, 1 << 20)
        scene.freeze()
        offset, failed = 1 << 20, False
        while not failed:
            kind, body = scene.client.call(READ, handle + struct.pack("!QI", offset, PART))
            failed = kind == STATUS
            offset += PART
        assert status(body) == NO_CONNECTION
        assert offset < len(large.read_bytes())
        scene.thaw()
        deadline = time.monotonic() + DEADLINE_S
        while part(scene.client, handle, 0) == b"":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert run(scene.client, handle, 0, 5_000_001) == large.read_bytes()


def test_files_that_are_read_no_further_give_their_room_to_others(
    scene: Scene, large: Path
) -> None:
    """More than there is room for, each read a bit and left."""
    handles = [scene.client.open(bytes(large)) for _ in range(80)]
    for handle in handles:
        run(scene.client, handle, 0, 1 << 19)
    held = large.read_bytes()
    for handle in handles[:3]:
        assert run(scene.client, handle, 1 << 19, 5_000_001) == held[1 << 19 :]
    assert rss(scene.relay.pid) < 48 << 20


def rss(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


WRITABLE = MountPoint(path=b"/", read_only=False)


def words(platform: str, *, is_old: bool = False, read_only: bool = False) -> set[str]:
    mount = MountPoint(path=b"/", read_only=read_only)
    options = options_for(mount, is_shared=False, platform=platform, is_old=is_old)
    return set(options.split(","))


def test_macos_has_the_same_words_and_macfuses_own() -> None:
    linux, macos = words("linux"), words("darwin")
    assert macos - linux == {"noappledouble", "nobrowse", "defer_permissions"}
    assert linux <= macos
    assert {"passive", "follow_symlinks", f"uid={os.geteuid()}"} <= linux
    assert words("darwin", read_only=True) - macos == {"ro"}


def test_homebrews_older_sshfs_is_spoken_to_in_its_words() -> None:
    new, old = words("darwin"), words("darwin", is_old=True)
    assert new - old == {"passive", "dcache_timeout=2"}
    assert old - new == {"slave", "cache_timeout=2"}


def test_what_may_be_changed_is_told_to_the_mount_that_has_it() -> None:
    volumes = tuple(
        MountPoint(path=path, read_only=read_only)
        for path, read_only in ((b"/a/one", True), (b"/b", False), (b"/b/two", True))
    )
    assert modes(WRITABLE, volumes) == "r/a/one:w/b:r/b/two:"
    frozen = MountPoint(path=b"/", read_only=True)
    assert modes(WRITABLE, (frozen, *volumes)) == "r:r/a/one:w/b:r/b/two:"
    assert modes(volumes[1], volumes) == "w:r/two:"
    assert modes(frozen, volumes) == ""


@pytest.mark.parametrize("target", ["x86_64-macos.11.0", "aarch64-macos.11.0"])
def test_it_can_be_made_for_macos(target: str, tmp_path: Path) -> None:
    """Made and read, as there is no Mac to run it."""
    made, make = tmp_path / "telepresence-sftp", Path(__file__).parents[3] / "sftp" / "macos.py"
    environ = {"ZIG_GLOBAL_CACHE_DIR": str(make.parent.parent / "build" / "zig")} | os.environ
    subprocess.run([sys.executable, make, made, target], check=True, timeout=240, env=environ)
    assert struct.unpack("<I", made.read_bytes()[:4])[0] == 0xFEEDFACF  # <mach-o/loader.h>
