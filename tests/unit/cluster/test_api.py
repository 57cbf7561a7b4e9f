"""The API connection: kubeconfigs in, and a server on loopback that answers or does not."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web

from telepresence.cluster import api
from telepresence.cluster.api import Api, ApiError
from telepresence.cluster.client import kube_config
from telepresence.errors import ClusterError, UsageError

DEADLINE_S = 10.0
T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def run(scene: Coroutine[Any, Any, T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(DEADLINE_S):
            return await scene

    return asyncio.run(bounded())


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def write(server: str = "http://127.0.0.1:1", **changed: object) -> None:
        config: dict[str, object] = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "east",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"token": "s3cret"}}],
            "contexts": [
                {"name": "east", "context": {"cluster": "c", "user": "u"}},
                {"name": "west", "context": {"cluster": "c", "user": "u", "namespace": "prod"}},
                {"name": "torn", "context": {"cluster": "none", "user": "u"}},
            ],
            **changed,
        }
        path = tmp_path / "config"
        path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
        # The client reads $KUBECONFIG once, when it is imported.
        monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(path))

    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    return write


@contextlib.asynccontextmanager
async def opened(context: str | None, namespace: str | None) -> AsyncIterator[Api]:
    connection = await api.connect(context, namespace)
    try:
        yield connection
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def connected(write: Callable[..., None], handler: Handler) -> AsyncIterator[Api]:
    """An API of a server that answers everything with the handler."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        listener = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(runner, listener).start()
        write(f"http://127.0.0.1:{listener.getsockname()[1]}")
        async with opened(None, None) as connection:
            yield connection
    finally:
        await runner.cleanup()


def chosen(context: str | None, namespace: str | None) -> tuple[str, str, str]:
    async def scene() -> tuple[str, str, str]:
        async with opened(context, namespace) as connection:
            return connection.context, connection.namespace, connection.server

    return run(scene())


def test_context_and_namespace_are_the_given_else_the_kubeconfigs(
    kubeconfig: Callable[..., None],
) -> None:
    kubeconfig()
    assert chosen(None, None) == ("east", "default", "http://127.0.0.1:1")
    assert chosen(None, "mine")[:2] == ("east", "mine")
    assert chosen("west", None)[:2] == ("west", "prod")
    assert chosen("west", "mine")[:2] == ("west", "mine")


def test_a_named_context_needs_no_current_one(kubeconfig: Callable[..., None]) -> None:
    kubeconfig(**{"current-context": None})
    assert chosen("west", None)[:2] == ("west", "prod")


def test_no_kubeconfig_is_told_with_the_ways_to_name_one(kubeconfig: Callable[..., None]) -> None:
    with pytest.raises(ClusterError, match="no current context") as caught:
        chosen(None, None)
    assert "$KUBECONFIG" in caught.value.hint


@pytest.mark.parametrize("current", [None, ""])
def test_a_kubeconfig_without_a_current_context_is_refused(
    kubeconfig: Callable[..., None], current: str | None
) -> None:
    kubeconfig(**{"current-context": current})
    with pytest.raises(ClusterError, match="no current context"):
        chosen(None, None)


def test_an_unknown_context_is_refused_with_those_there_are(
    kubeconfig: Callable[..., None],
) -> None:
    kubeconfig()
    with pytest.raises(UsageError, match="no context north") as caught:
        chosen("north", None)
    assert caught.value.hint == "it has: east, torn, west"
    kubeconfig(**{"current-context": "gone"})
    with pytest.raises(UsageError, match="no context gone"):
        chosen(None, None)


def test_a_context_without_its_cluster_is_refused(kubeconfig: Callable[..., None]) -> None:
    kubeconfig()
    with pytest.raises(ClusterError, match="cannot use context torn"):
        chosen("torn", None)


@pytest.mark.parametrize("text", ["{]", "", "words", "- 1", "contexts: 1", "contexts: [{}]"])
def test_a_file_that_is_no_kubeconfig_is_refused(
    tmp_path: Path, kubeconfig: Callable[..., None], text: str
) -> None:
    (tmp_path / "none").write_text(text)
    with pytest.raises(ClusterError, match="no current context"):
        chosen(None, None)


def test_a_request_carries_method_path_query_body_and_token(
    kubeconfig: Callable[..., None],
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response(
            {
                "asked": [request.method, request.path, dict(request.query)],
                "token": request.headers.get("Authorization"),
                "body": await request.text(),
            }
        )

    async def scene() -> None:
        async with connected(kubeconfig, answer) as connection:
            said = await connection.request("POST", "/api/v1/pods", {"a": 1}, fieldSelector="x=y")
            assert said["asked"] == ["POST", "/api/v1/pods", {"fieldSelector": "x=y"}]
            assert said["token"] == "Bearer s3cret"
            assert json.loads(said["body"]) == {"a": 1}
            assert json.loads(await connection.text("/log", tailLines="3"))["asked"] == [
                "GET", "/log", {"tailLines": "3"},
            ]  # fmt: skip

    run(scene())


@pytest.mark.parametrize(
    ("body", "message", "reason"),
    [
        ('{"message": "no such pod", "reason": "NotFound"}', "no such pod", "NotFound"),
        ('{"message": "no"}', "no", ""),
        ("a proxy's page", "a proxy's page", ""),
        ("[]", "[]", ""),
        ("", "HTTP status 404", ""),
    ],
)
def test_a_refusal_keeps_the_servers_words(
    kubeconfig: Callable[..., None], body: str, message: str, reason: str
) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=404, text=body)

    async def scene() -> None:
        async with connected(kubeconfig, refuse) as connection:
            with pytest.raises(ApiError) as caught:
                await connection.request("GET", "/x")
            with pytest.raises(ApiError):
                async for _ in connection.watch("/x"):
                    pass
        assert (str(caught.value), caught.value.status) == (message, 404)
        assert caught.value.reason == reason

    run(scene())


def test_a_watch_gives_each_event_as_it_comes_and_ends_with_the_server(
    kubeconfig: Callable[..., None],
) -> None:
    async def scene() -> None:
        go_on = asyncio.Event()

        async def stream(request: web.Request) -> web.StreamResponse:
            assert dict(request.query) == {"watch": "true", "resourceVersion": "7"}
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b'{"type": "ADDED"}\n{"type": "MOD')
            await go_on.wait()
            await response.write(b'IFIED"}\n')
            return response

        async with connected(kubeconfig, stream) as connection:
            seen = []
            async for event in connection.watch("/pods", resourceVersion="7"):
                seen.append(event["type"])
                go_on.set()
        assert seen == ["ADDED", "MODIFIED"]

    run(scene())


def test_a_large_event_of_a_watch_is_read_whole(kubeconfig: Callable[..., None]) -> None:
    """An object may have 1.5 MiB: etcd's limit of a request."""

    async def stream(request: web.Request) -> web.Response:
        return web.Response(text=json.dumps({"type": "A", "object": "x" * 1_500_000}) + "\n")

    async def scene() -> None:
        async with connected(kubeconfig, stream) as connection:
            seen = [event async for event in connection.watch("/pods")]
        assert len(seen[0]["object"]) == 1_500_000

    run(scene())


def test_a_server_that_is_not_there_is_named_with_its_context(
    kubeconfig: Callable[..., None],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    kubeconfig(f"http://127.0.0.1:{port}")

    async def scene() -> None:
        async with opened(None, None) as connection:
            with pytest.raises(ClusterError) as caught:
                await connection.request("GET", "/x")
        assert f"http://127.0.0.1:{port} of context east" in str(caught.value)

    run(scene())


def test_a_server_that_does_not_answer_is_given_up(
    kubeconfig: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "REQUEST_TIMEOUT_S", 0.1)

    async def silent(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def scene() -> None:
        async with connected(kubeconfig, silent) as connection:
            with pytest.raises(ClusterError, match="no answer in time"):
                await connection.request("GET", "/x")

    run(scene())


def test_a_connection_that_breaks_during_a_watch_is_a_cluster_error(
    kubeconfig: Callable[..., None],
) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type": "ADDED"}\n')
        assert request.transport is not None
        request.transport.abort()
        return response

    async def scene() -> None:
        async with connected(kubeconfig, cut) as connection:
            with pytest.raises(ClusterError, match="cannot reach"):
                async for _ in connection.watch("/pods"):
                    pass

    run(scene())


def test_the_time_is_the_servers_whatever_the_laptops_clock_says(
    kubeconfig: Callable[..., None],
) -> None:
    """A lease is judged by it: RFC 9110, section 6.6.1."""

    async def ahead(request: web.Request) -> web.Response:
        return web.json_response({}, headers={"Date": "Sat, 01 Jan 2050 00:00:00 GMT"})

    async def scene() -> None:
        async with connected(kubeconfig, ahead) as connection:
            assert connection.now().year < 2050
            await connection.request("GET", "/x")
            assert connection.now().isoformat().startswith("2050-01-01T00:00:0")

    run(scene())
