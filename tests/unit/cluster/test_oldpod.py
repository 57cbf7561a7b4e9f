"""What is read in a pod that is about to go, and what is said when it cannot be."""

import asyncio
import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from test_api import connected, kubeconfig, run
from test_manifest import PLAN

from telepresence.cluster import oldpod
from telepresence.cluster.oldpod import OldPod
from telepresence.values import ContainerRun, Workload

__all__ = ["kubeconfig"]
WORKLOAD = Workload(
    kind="StatefulSet", name="web", path="", plural="statefulsets", group="apps", uid="u-1",
    version="1", replicas=1, selector="app=web", template={},
)  # fmt: skip
CONTAINER = ContainerRun(proxy_words=(), user_words=(), image="x", command=())


class Server:
    """Has pods of the workload, and gives whoever runs a command there an environment."""

    def __init__(
        self,
        *pods: str,
        environ: bytes = b"",
        refusal: int = 0,
        failure: str = "",
        state: str = "running",
    ) -> None:
        self.pods, self.environ, self.state = pods, environ, state
        self.refusal, self.failure = refusal, failure
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path.rpartition("/")[2])
        if not request.path.endswith("/exec"):
            return web.json_response({"items": [self._pod(name) for name in self.pods]})
        if self.refusal == 408:
            await asyncio.sleep(60)
        if self.refusal:
            return web.Response(status=self.refusal)
        stream = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await stream.prepare(request)
        await stream.send_bytes(b"\x01" + self.environ)
        status = {"status": "Failure" if self.failure else "Success", "message": self.failure}
        await stream.send_bytes(b"\x03" + json.dumps(status).encode())
        await stream.close()
        return stream

    def _pod(self, name: str) -> dict[str, Any]:
        owner = {"kind": "StatefulSet", "name": "web", "uid": "u-1", "controller": True}
        meta = {"name": name, "ownerReferences": [owner]}
        statuses = [{"name": "app", "state": {self.state: {}}}]
        return {"metadata": meta, "status": {"phase": "Running", "containerStatuses": statuses}}


def asked(
    write: Callable[..., None], server: Server, **changes: Any
) -> tuple[dict[bytes, bytes], str]:
    async def scene() -> tuple[dict[bytes, bytes], str]:
        plan = dataclasses.replace(PLAN, container="app", **changes)
        async with connected(write, server.answer) as api, OldPod(api, plan, WORKLOAD) as old:
            return await old.environ(), old.note

    return run(scene())


def test_its_environment_is_read_byte_for_byte(kubeconfig: Callable[..., None]) -> None:
    server = Server("web-1", environ=b"A=1\0LINES=one\ntwo\0RAW=\xff=\0NONE=\0")
    environ, note = asked(kubeconfig, server)
    assert environ == {b"A": b"1", b"LINES": b"one\ntwo", b"RAW": b"\xff=", b"NONE": b""}
    assert note == ""
    assert server.asked == ["pods", "exec"]


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (Server(), "it runs in no pod of StatefulSet web"),
        (Server("web-1", state="waiting"), "it runs in no pod of StatefulSet web"),
        (Server("web-1", refusal=403), "you may not read them in its pod; 'telepresence rbac'"),
        (Server("web-1", refusal=500), "the API server refuses it (HTTP status 500)"),
        (Server("web-1", failure='exec: "cat": executable file not found in $PATH'), "no program"),
        (Server("web-1", failure="container is not running"), "container is not running"),
    ],
)
def test_what_stands_in_the_way_is_said_and_nothing_is_held_up(
    kubeconfig: Callable[..., None], server: Server, why: str
) -> None:
    environ, note = asked(kubeconfig, server)
    assert environ == {}
    assert note.startswith("without the variables of app's image (ENV): ")
    assert why in note


def test_a_pod_that_does_not_answer_is_not_waited_for(
    kubeconfig: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oldpod, "TIMEOUT_S", 0.2)
    assert "did not answer" in asked(kubeconfig, Server("web-1", refusal=408))[1]


def test_a_container_of_the_laptop_has_an_image_of_its_own(
    kubeconfig: Callable[..., None],
) -> None:
    server = Server("web-1", environ=b"A=1")
    assert asked(kubeconfig, server, container_run=CONTAINER) == ({}, "")
    assert server.asked == []
