"""What is looked at before anything is changed, on a real connection to a server on loopback."""

import asyncio
import contextlib
import dataclasses
import json
import os
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from telepresence import cli
from telepresence.cluster import api, observe
from telepresence.cluster.api import Api
from telepresence.cluster.client import kube_config
from telepresence.rights import rights
from telepresence.values import Facts, Mounting, Right

DEADLINE_S = 10.0
RIGHTS = rights(cli.parse([]), None)


class Server:
    """Answers access reviews and the list of API groups."""

    def __init__(self, *, denied: tuple[Right, ...] = (), group: str = "apps") -> None:
        self.denied, self.group = {str(right) for right in denied}, group

    async def review(self, request: web.Request) -> web.Response:
        asked = (await request.json())["spec"]["resourceAttributes"]
        assert asked["namespace"] == "prod"
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
        allowed = f"{asked['verb']} {resource}" not in self.denied
        return web.json_response({"status": {"allowed": allowed}})

    async def groups(self, _: web.Request) -> web.Response:
        return web.json_response({"groups": [{"name": self.group}]})

    @contextlib.asynccontextmanager
    async def connected(self, place: Path) -> AsyncIterator[Api]:
        application = web.Application()
        reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        application.router.add_post(reviews, self.review)
        application.router.add_get("/apis", self.groups)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        try:
            listener = socket.create_server(("127.0.0.1", 0))
            await web.SockSite(runner, listener).start()
            server = f"http://127.0.0.1:{listener.getsockname()[1]}"
            config = {
                "current-context": "east",
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "contexts": [{"name": "east", "context": {"cluster": "c", "namespace": "prod"}}],
                "users": [],
            }
            place.write_text(json.dumps(config))
            connection = await api.connect(None, None)
            try:
                yield connection
            finally:
                await connection.close()
        finally:
            await runner.cleanup()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH; a kubeconfig lies beside it."""
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)


def facts(
    server: Server,
    folder: Path,
    *command: str,
    inject: str = "auto",
    files: tuple[str | None, str | None] = (None, None),
    mount: Path | None = None,
) -> Facts:
    options = dataclasses.replace(
        cli.parse(["--run", *command] if command else []),
        inject=inject,
        env_json=files[0],
        env_file=files[1],
        mount=Mounting(mode="fuse", path=mount),
    )

    async def scene() -> Facts:
        async with (
            asyncio.timeout(DEADLINE_S),
            server.connected(folder.parent / "config") as connection,
        ):
            return await observe.observe(options, connection, folder / "shim.so")

    return asyncio.run(scene())


def test_rights_that_are_denied_are_named_in_order(programs: Path) -> None:
    assert facts(Server(), programs).denied == ()
    assert facts(Server(), programs).needed == RIGHTS
    denied = (RIGHTS[0], RIGHTS[-2], RIGHTS[-1])
    assert facts(Server(denied=denied), programs).denied == denied


@pytest.mark.parametrize(
    ("installed", "group", "chosen"),
    [
        ((), "apps", None),
        (("kubectl",), "route.openshift.io", "kubectl"),
        (("oc",), "apps", "oc"),
        (("kubectl", "oc"), "apps", "kubectl"),
        (("kubectl", "oc"), "route.openshift.io", "oc"),
    ],
)
def test_oc_is_for_openshift_when_both_are_there(
    programs: Path, installed: tuple[str, ...], group: str, chosen: str | None
) -> None:
    install(programs, *installed)
    expected = str(programs / chosen) if chosen else None
    assert facts(Server(group=group), programs).kubectl == expected


def test_command_shell_and_shim_are_looked_for(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHELL", raising=False)
    seen = facts(Server(), programs, "curl")
    assert (seen.program, seen.shell, seen.shim_exists) == (None, "/bin/sh", False)
    install(programs, "curl", "shim.so")
    monkeypatch.setenv("SHELL", "/bin/zsh")
    seen = facts(Server(), programs, "curl")
    assert (seen.program, seen.shell) == (str(programs / "curl"), "/bin/zsh")
    assert seen.shim_exists
    assert (seen.context, seen.namespace) == ("east", "prod")
    assert seen.environ["SHELL"] == "/bin/zsh"
    assert seen.user.endswith(f"@{socket.gethostname()}")


def test_the_supervisor_is_asked_only_if_it_may_be_used(programs: Path) -> None:
    assert facts(Server(), programs, inject="preload").no_supervisor == ""
    missing = facts(Server(), programs)
    assert missing.supervisor == programs / "telepresence-supervisor"
    assert missing.no_supervisor == f"{missing.supervisor}: No such file or directory"
    missing.supervisor.write_text("#!/bin/sh\necho not on this kernel; exit 1\n")
    missing.supervisor.chmod(0o755)
    assert facts(Server(), programs).no_supervisor == "not on this kernel"


def test_a_command_that_the_shim_cannot_enter_is_known(programs: Path) -> None:
    (programs / "static").write_bytes(b"\x7fELF\2\1\1" + bytes(57))
    (programs / "static").chmod(0o755)
    assert facts(Server(), programs, "static").program_closed == "a static program"
    install(programs, "script")
    assert facts(Server(), programs, "script").program_closed == ""


def test_files_that_cannot_be_written_are_seen(programs: Path) -> None:
    assert facts(Server(), programs, files=(str(programs / "j"), "e")).unwritable == ()
    seen = facts(Server(), programs, files=(str(programs / "no" / "j"), str(programs))).unwritable
    assert seen == (
        f"{programs}/no/j: there is no directory {programs}/no",
        f"{programs}: it is a directory",
    )


def test_whether_anything_can_be_mounted_is_known(programs: Path) -> None:
    assert "no sshfs" in facts(Server(), programs).no_fuse
    install(programs, "sshfs")
    assert "no sshfs" not in facts(Server(), programs).no_fuse


def test_copies_are_kept_in_memory_where_there_is_room(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(programs))
    shm = Path("/dev/shm")
    if not shm.is_mount() or not os.access(shm, os.W_OK):
        pytest.skip("/dev/shm of this machine is no file system of its own")
    assert facts(Server(), programs).memory == shm
    with tempfile.TemporaryDirectory(dir=shm) as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        assert facts(Server(), programs).memory == Path(folder)


def test_a_place_that_cannot_be_a_mount_point_is_known(programs: Path) -> None:
    install(programs, "file")
    assert facts(Server(), programs, mount=programs).no_mount == ""
    assert facts(Server(), programs, mount=programs / "new" / "one").no_mount == ""
    file = programs / "file"
    assert facts(Server(), programs, mount=file).no_mount == f"{file}: {file} is no directory"
    assert facts(Server(), programs, mount=file / "x").no_mount.endswith(f"{file} is no directory")
    assert facts(Server(), programs, mount=Path("/proc")).no_mount == (
        "/proc: something is mounted there"
    )
