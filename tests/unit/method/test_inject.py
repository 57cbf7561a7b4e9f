"""inject-tcp: the environment that a process gets, and the settings that only it may read."""

import asyncio
import contextlib
import dataclasses
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from telepresence.fastpath import Engine, Tunnel
from telepresence.method import inject
from telepresence.method.sip import Mirror
from telepresence.values import Environment, Launch, Plan, SearchList

DEADLINE_S = 10.0
PLAN = Plan(
    context="east's $(echo ran) `echo ran`",
    namespace="prod",
    kubectl="/usr/bin/kubectl",
    pod_name="p-1",
    image="agent:1",
    session=bytes(16),
    secret=bytes(32),
    method="inject-tcp",
    shim=Path("/opt/a shim.so"),
    program="/bin/sh",
    argv=("sh", "-c", "true"),
    is_shell=False,
    environ={},
)
PROCESS = {b"PATH": b"/bin", b"POD": b"\xff\n=", b"LAPTOP": b"1"}
ENVIRONMENT = Environment(pod={}, process=PROCESS)


@pytest.fixture
def engine() -> Iterator[Engine]:
    with contextlib.closing(Engine()) as made:
        yield made


def test_the_first_copies_of_macos_programs_are_announced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "ls").write_text("#!/bin/sh\n")
    mirror = Mirror(tmp_path / "mirror", root=root, machine="arm64")
    monkeypatch.setattr(inject, "system_mirror", lambda: mirror)
    (note,) = inject.notes(PLAN)
    assert str(mirror.folder) in note
    assert inject.notes(dataclasses.replace(PLAN, shim=None)) == ()
    mirror.refresh()
    assert inject.notes(PLAN) == ()


def inside(
    engine: Engine,
    look: Callable[[Launch, dict[str, str]], None],
    plan: Plan = PLAN,
    environment: Environment = ENVIRONMENT,
) -> Path:
    """Look at the launch and its settings; returns the settings' path."""

    async def scene() -> Path:
        tunnel = Tunnel(engine, role="laptop")
        async with inject.prepare(plan, environment, engine, tunnel) as launch:
            path = Path(os.fsdecode(launch.environ[b"TORSOCKS_CONF_FILE"]))
            lines = path.read_text().splitlines()
            settings = {key: value for key, _, value in (line.partition(" ") for line in lines)}
            look(launch, settings)
        return path

    return asyncio.run(scene())


def test_a_launch_has_the_environment_and_the_shim(engine: Engine) -> None:
    def look(launch: Launch, settings: dict[str, str]) -> None:
        assert (launch.program, launch.argv) == ("/bin/sh", ("sh", "-c", "true"))
        environ = launch.environ
        assert environ.items() >= {k: v for k, v in PROCESS.items() if k != b"PATH"}.items()
        substitutes, *laptops = environ[b"PATH"].split(b":")
        assert laptops == PROCESS[b"PATH"].split(b":")
        assert os.access(os.fsdecode(substitutes) + "/ping", os.X_OK)
        assert environ[inject.PRELOAD.encode()] == b"/opt/a shim.so"
        assert b"PROMPT_COMMAND" not in environ

    inside(engine, look)


def test_a_library_that_was_preloaded_before_still_is(engine: Engine) -> None:
    def look(launch: Launch, settings: dict[str, str]) -> None:
        assert launch.environ[inject.PRELOAD.encode()] == b"/opt/a shim.so:/lib/other.so"

    before = {inject.PRELOAD.encode(): b"/lib/other.so"}
    inside(engine, look, environment=Environment(pod={}, process=before))


def test_the_settings_have_the_pods_search_list(engine: Engine) -> None:
    def look(launch: Launch, settings: dict[str, str]) -> None:
        assert settings["TelepresenceSearch"] == "default.svc.cluster.local"
        assert settings["TelepresenceNdots"] == "5"

    search = SearchList(domains=("default.svc.cluster.local",), ndots=5)
    inside(engine, look, environment=dataclasses.replace(ENVIRONMENT, search=search))


def test_the_settings_are_for_their_owner_and_go_with_the_context(engine: Engine) -> None:
    modes: list[int] = []

    def look(launch: Launch, settings: dict[str, str]) -> None:
        path = Path(os.fsdecode(launch.environ[b"TORSOCKS_CONF_FILE"]))
        modes.extend(stat.S_IMODE(place.stat().st_mode) for place in (path, path.parent))

    path = inside(engine, look)
    assert modes == [0o600, 0o700]
    assert not path.parent.exists()


def test_the_server_lets_nobody_in_without_the_settings_password(engine: Engine) -> None:
    """RFC 1929: status 0 is success; RFC 1928: method 255 is none acceptable."""

    def look(launch: Launch, settings: dict[str, str]) -> None:
        where = settings["TorAddress"], int(settings["TorPort"])
        name, word = settings["SOCKS5Username"].encode(), settings["SOCKS5Password"].encode()
        assert where[0] == "127.0.0.1"
        assert len(word) >= 32
        with socket.create_connection(where, DEADLINE_S) as stranger:
            stranger.sendall(b"\5\1\0")
            assert stranger.recv(2) == b"\5\xff"
        for said, granted in ((word, True), (word[:-1] + b"!", False)):
            with socket.create_connection(where, DEADLINE_S) as client:
                client.sendall(b"\5\1\2")
                assert client.recv(2) == b"\5\2"
                client.sendall(b"\1" + bytes([len(name)]) + name + bytes([len(said)]) + said)
                assert (client.recv(2) == b"\1\0") is granted

    inside(engine, look)


def test_each_session_has_its_own_password(engine: Engine) -> None:
    words: set[str] = set()
    for _ in range(2):
        inside(engine, lambda _, settings: words.add(settings["SOCKS5Password"]))
    assert len(words) == 2


def test_nobody_listens_after_the_context(engine: Engine) -> None:
    ports: list[int] = []
    inside(engine, lambda _, settings: ports.append(int(settings["TorPort"])))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports[0]), DEADLINE_S)


def test_where_the_system_protects_its_programs_copies_are_started(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "system" / "bin").mkdir(parents=True)
    shutil.copy2("/bin/sh", tmp_path / "system" / "bin" / "tell")
    (tmp_path / "system" / "bin" / "tell").write_text("#!/bin/sh\n")
    mirror = Mirror(tmp_path / "mirror", root=tmp_path / "system")
    monkeypatch.setattr(inject, "system_mirror", lambda: mirror)

    def look(launch: Launch, settings: dict[str, str]) -> None:
        assert launch.program == mirror.copy_of("/bin/tell")
        assert launch.environ[b"PATH"].endswith(b":" + os.fsencode(mirror.folder) + b"/bin")
        assert launch.environ[inject.PRELOAD.encode()] == b"/opt/a shim.so"

    inside(engine, look, dataclasses.replace(PLAN, program="/bin/tell"))
