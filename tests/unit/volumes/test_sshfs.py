"""What stands between sshfs and the tunnel, as a program between two sockets.

The far end is a real sftp-server, or this test where an answer is to be late."""

import contextlib
import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from telepresence.agent.services import ANY_USER, SFTP_SERVER
from telepresence.volumes.sshfs import RELAY

DEADLINE_S = 10.0
OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, OPENDIR, READDIR, STAT = 3, 4, 5, 6, 7, 8, 11, 12, 17
STATUS, HANDLE, DATA, NAME, ATTRS = 101, 102, 103, 104, 105
NO_CONNECTION = 6


def text(value: bytes) -> bytes:
    return struct.pack("!I", len(value)) + value


def status(body: bytes) -> int:
    return int(struct.unpack_from("!I", body)[0])


class Wire:
    """One end of SFTP, packet by packet."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self._next = sock, 100
        sock.settimeout(DEADLINE_S)

    def put(self, kind: int, number: int, body: bytes) -> None:
        self.sock.sendall(struct.pack("!IBI", len(body) + 5, kind, number) + body)

    def ask(self, kind: int, body: bytes) -> int:
        self._next += 1
        self.put(kind, self._next, body)
        return self._next

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            assert more, "end of file"
            data += more
        return data

    def take(self) -> tuple[int, int, bytes]:
        length, kind, number = struct.unpack("!IBI", self._exactly(9))
        return kind, number, self._exactly(length - 5)

    def call(self, kind: int, body: bytes) -> tuple[int, bytes]:
        number = self.ask(kind, body)
        answer, answered, said = self.take()
        assert answered == number
        return answer, said

    def open(self, path: bytes, flags: int = 1) -> bytes:
        kind, body = self.call(OPEN, text(path) + struct.pack("!II", flags, 0))
        assert kind == HANDLE, body
        return body

    def names(self, path: bytes) -> dict[bytes, int]:
        """The listing, each name with the mode that it is shown with."""
        kind, handle = self.call(OPENDIR, text(path))
        assert kind == HANDLE
        found: dict[bytes, int] = {}
        while True:
            kind, body = self.call(READDIR, handle)
            if kind == STATUS:
                break
            at = 4
            for _ in range(status(body)):
                size = status(body[at:])
                name, at = body[at + 4 : at + 4 + size], at + 4 + size
                at += 4 + status(body[at:])
                assert status(body[at:]) == 0xF  # OpenSSH's: size, ids, mode, times
                found[name] = status(body[at + 20 :])
                at += 32
        self.call(CLOSE, handle)
        return found


class Scene:
    """The relay, with its client's end here, and its far end here or at a server."""

    def __init__(self, *volumes: Path, silence_s: float = 10, server: bool = True) -> None:
        near, relay_near = socket.socketpair()
        far, relay_far = socket.socketpair()
        with relay_near, relay_far:
            words = [str(RELAY), str(silence_s), *map(str, volumes)]
            self.relay = subprocess.Popen(words, stdin=relay_near, stdout=relay_far)
        self.client, self.far = Wire(near), Wire(far)
        self.server: subprocess.Popen[bytes] | None = None
        if server:
            self.server = subprocess.Popen([SFTP_SERVER], stdin=far, stdout=far)
            far.close()
            near.sendall(struct.pack("!IBI", 5, 1, 3))
            length, kind, _ = struct.unpack("!IBI", self.client._exactly(9))
            assert kind == 2
            self.client._exactly(length - 5)

    def freeze(self) -> None:
        assert self.server is not None
        self.server.send_signal(19)  # SIGSTOP

    def thaw(self) -> None:
        assert self.server is not None
        self.server.send_signal(18)  # SIGCONT

    def close(self) -> None:
        self.client.sock.close()
        self.far.sock.close()
        assert self.relay.wait(DEADLINE_S) == 0
        if self.server is not None:
            self.thaw()
            self.server.wait(DEADLINE_S)


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


def read(client: Wire, path: Path) -> bytes:
    handle = client.open(bytes(path))
    data = b""
    while True:
        kind, body = client.call(READ, handle + struct.pack("!QI", len(data), 1000))
        if kind == STATUS:
            break
        data += body[4:]
    kind, body = client.call(CLOSE, handle)
    assert (kind, status(body)) == (STATUS, 0)
    return data


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
