"""A command in a container, over a real WebSocket of a server on loopback."""

import json
from collections.abc import Callable

import pytest
from aiohttp import web
from test_api import connected, kubeconfig, run

from telepresence.cluster.api import ApiError, Unreachable
from telepresence.cluster.execute import output_of

__all__ = ["kubeconfig"]
FAILED = {"status": "Failure", "reason": "NonZeroExitCode", "message": "exit code 1"}
NO_CAT = {"status": "Failure", "reason": "InternalError", "code": 500,
          "message": 'exec: "cat": executable file not found in $PATH'}  # fmt: skip


class Server:
    """Sends some messages to whoever asks for an exec, and remembers the question."""

    def __init__(self, *messages: bytes, refusal: int = 0) -> None:
        self.messages, self.refusal = messages, refusal
        self.asked: list[tuple[str, str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked = [("", request.path), *request.query.items()]
        if self.refusal:
            return web.json_response({"message": "no"}, status=self.refusal)
        stream = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await stream.prepare(request)
        assert request.headers["Authorization"] == "Bearer s3cret"
        assert stream.ws_protocol == "v4.channel.k8s.io"
        for message in self.messages:
            await stream.send_bytes(message)
        await stream.close()
        return stream


def output(write: Callable[..., None], server: Server) -> bytes:
    async def scene() -> bytes:
        async with connected(write, server.answer) as api:
            return await output_of(api, "web-1", "app", "cat", "/proc/self/environ")

    return run(scene())


def test_what_it_prints_comes_byte_for_byte(kubeconfig: Callable[..., None]) -> None:
    big = b"\xff\n\0" * 500_000
    parts = [b"\x01" + big[at : at + 32_768] for at in range(0, len(big), 32_768)]
    success = b"\x03" + json.dumps({"status": "Success"}).encode()
    server = Server(b"\x01", b"\x02", b"\x02of no interest", *parts, success)
    assert output(kubeconfig, server) == big
    assert server.asked == [
        ("", "/api/v1/namespaces/default/pods/web-1/exec"), ("container", "app"),
        ("stdout", "true"), ("stderr", "true"), ("command", "cat"),
        ("command", "/proc/self/environ"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "words"),
    [(FAILED, "exit code 1"), (NO_CAT, "executable file not found"), (None, "ended before")],
)
def test_a_command_that_fails_is_no_output(
    kubeconfig: Callable[..., None], said: object, words: str
) -> None:
    ended = (b"\x03" + json.dumps(said).encode(),) if said else ()
    with pytest.raises(ApiError, match=words):
        output(kubeconfig, Server(b"\x01half", *ended))


def test_a_refusal_has_its_status(kubeconfig: Callable[..., None]) -> None:
    with pytest.raises(ApiError) as caught:
        output(kubeconfig, Server(refusal=403))
    assert caught.value.status == 403


def test_nobody_there_is_told_as_ever(kubeconfig: Callable[..., None]) -> None:
    async def scene() -> None:
        async with connected(kubeconfig, Server().answer) as api:
            api._client.configuration.host = "http://127.0.0.1:1"
            await output_of(api, "web-1", "app", "cat")

    with pytest.raises(Unreachable):
        run(scene())
