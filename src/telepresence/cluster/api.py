"""The Kubernetes API as this project needs it: paths and JSON in, JSON or a ClusterError out.

Called by: the other modules of cluster/.
Owns: the connections, through the official client, which reads the kubeconfig, its
credentials and exec plugins.
Never: uses the client's generated classes: importing those of the core API alone costs 0.8 s, and
its models refuse fields that a newer server may send.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yaml import YAMLError  # type: ignore[import-untyped] # it says no types

from telepresence.cluster.client import (
    ApiClient,
    ConfigException,
    kube_config,
    new_client_from_config,
)
from telepresence.errors import ClusterError, UsageError
from telepresence.values import ApiAccess

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 15.0  # kubectl waits 32 s for discovery; a person at a terminal does not
Json = dict[str, Any]
_JSON = "application/json"
_CONTENT = {"PATCH": "application/merge-patch+json"}  # RFC 7386: null deletes, the rest is merged


class ApiError(ClusterError):
    """The server said no; `status` is HTTP's, `reason` Kubernetes' word for it."""

    def __init__(self, message: str, *, status: int, reason: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Unreachable(ClusterError):
    """Nobody answered: another try may find somebody."""


class Api:
    """One context's API server."""

    def __init__(self, client: ApiClient, *, context: str, namespace: str) -> None:
        self._client = client
        self.context = context
        self.namespace = namespace
        self.server = str(client.configuration.host)
        self._ahead = timedelta()  # of this machine's clock: the server's

    def now(self) -> datetime:
        """The server's time, to a second or so: RFC 9110, section 6.6.1, of its last answer."""
        return datetime.now(UTC) + self._ahead

    async def request(self, method: str, path: str, body: Json | None = None, **query: str) -> Json:
        """The decoded answer.  ApiError for a refusal, Unreachable when nobody answers."""
        return json.loads(await self._read(method, path, body, query))  # type: ignore[no-any-return]

    async def text(self, path: str, **query: str) -> str:
        return (await self._read("GET", path, None, query)).decode(errors="replace")

    async def watch(self, path: str, **query: str) -> AsyncIterator[Json]:
        """The events of a watch, until the server ends it."""
        response = await self._send("GET", path, None, {**query, "watch": "true"}, timeout_s=None)
        try:
            if response.status >= 400:
                raise _refusal(response.status, await response.read())
            async for line in response.content:
                yield json.loads(line)
        except aiohttp.ClientError as exc:
            raise self._unreachable(exc) from exc
        finally:
            response.close()

    async def _read(self, method: str, path: str, body: Json | None, query: Json) -> bytes:
        response = await self._send(method, path, body, query, timeout_s=REQUEST_TIMEOUT_S)
        async with response:
            try:
                data: bytes = await response.read()
            except (aiohttp.ClientError, TimeoutError) as exc:
                raise self._unreachable(exc) from exc
        log.debug("%s %s: %d, %d bytes", method, path, response.status, len(data))
        if response.status >= 400:
            raise _refusal(response.status, data)
        return data

    async def _send(
        self, method: str, path: str, body: Json | None, query: Json, *, timeout_s: float | None
    ) -> aiohttp.ClientResponse:
        verb, url, headers, payload, _ = await self._client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={
                "Accept": "application/json",
                "Content-Type": _CONTENT.get(method, _JSON),
            },
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = await self._client.rest_client.request(
                verb, url, headers=headers, body=payload, _request_timeout=timeout_s
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise self._unreachable(exc) from exc
        response: aiohttp.ClientResponse = answer.response
        if said := response.headers.get("Date"):
            self._ahead = parsedate_to_datetime(said) - datetime.now(UTC)
        return response

    @contextlib.asynccontextmanager
    async def websocket(
        self, path: str, protocol: str, query: Iterable[tuple[str, str]]
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket, by the client's own connections.  ApiError for a refusal."""
        _, url, headers, _, _ = await self._client.param_serialize(
            "GET", path, query_params=list(query), auth_settings=["BearerToken"]
        )
        rest = self._client.rest_client
        if rest.pool_manager is None:
            rest.pool_manager = rest._create_pool_manager()
        try:
            async with rest.pool_manager.ws_connect(
                url, headers=headers, protocols=(protocol,), proxy=rest.proxy,
                proxy_headers=rest.proxy_headers,
                server_hostname=self._client.configuration.tls_server_name,
            ) as socket:  # fmt: skip
                yield socket
        except aiohttp.WSServerHandshakeError as exc:
            said = f"the API server refuses it (HTTP status {exc.status})"
            raise ApiError(said, status=exc.status, reason="") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise self._unreachable(exc) from exc

    def _unreachable(self, exc: BaseException) -> Unreachable:
        why = "no answer in time" if isinstance(exc, TimeoutError) else str(exc)
        return Unreachable(
            f"cannot reach the API server {self.server} of context {self.context}: {why}",
            hint="is the cluster running, and is this the right --context?",
        )

    async def access(self) -> ApiAccess | None:
        """What a connection beside the client's own needs, with fresh credentials.

        None: only through a proxy, or without TLS; kubectl knows how."""
        conf = self._client.configuration
        url = urlsplit(self.server)
        host = url.hostname or ""
        proxied = "https" in getproxies() and not proxy_bypass(host)
        if url.scheme != "https" or conf.proxy or proxied:
            return None
        headers: dict[str, str] = {}
        await self._client.update_params_for_auth(
            headers, [], ["BearerToken"], url.path, "GET", None
        )
        return ApiAccess(
            host=host,
            port=url.port or 443,
            prefix=url.path.rstrip("/"),
            server_name=conf.tls_server_name or host,
            ca_file=conf.ssl_ca_cert,
            cert_file=conf.cert_file,
            key_file=conf.key_file,
            verify=bool(conf.verify_ssl),
            headers=headers,
        )

    async def close(self) -> None:
        await self._client.close()


def _refusal(status: int, data: bytes) -> ApiError:
    try:
        answer = json.loads(data)
        message, reason = str(answer["message"]), str(answer.get("reason", ""))
    except (ValueError, KeyError, TypeError):
        message, reason = data[:200].decode(errors="replace") or f"HTTP status {status}", ""
    return ApiError(message, status=status, reason=reason)


def _contexts() -> tuple[dict[str, Json], str]:
    """All contexts by their names, and the current one's name or "".

    Not the client's own list of them: it insists on a current one, which --context may replace."""
    place = kube_config.KUBE_CONFIG_DEFAULT_LOCATION
    try:
        merged = kube_config.KubeConfigMerger(place).config
        if merged is None:
            raise FileNotFoundError(f"there is no file {place}")  # as open() would
        entries = [node.value for node in merged.value["contexts"]]
        named = {str(entry["name"]): entry.get("context") or {} for entry in entries}
        return named, str(merged.value.get("current-context") or "")
    # The last three: YAML, but no kubeconfig.
    except (ConfigException, OSError, YAMLError, TypeError, KeyError, AttributeError) as exc:
        raise ClusterError(
            f"no current context: the kubeconfig cannot be read: {exc}",
            hint="set $KUBECONFIG or name one with --context; 'kubectl config get-contexts' lists",
        ) from exc


async def connect(context: str | None, namespace: str | None) -> Api:
    """Read the kubeconfig ($KUBECONFIG, ~/.kube/config); asks the server nothing yet.

    UsageError: no such context.  ClusterError: no kubeconfig, or credentials that cannot be
    had."""
    named, current = await asyncio.to_thread(_contexts)
    chosen = context or current
    if not chosen:
        raise ClusterError(
            "no current context: the kubeconfig names none",
            hint="name one with --context; 'kubectl config get-contexts' lists them",
        )
    if chosen not in named:
        raise UsageError(
            f"the kubeconfig has no context {chosen}",
            hint=f"it has: {', '.join(sorted(named)) or 'none'}",
        )
    try:
        client = await new_client_from_config(context=chosen)
    except (ConfigException, OSError) as exc:
        raise ClusterError(
            f"cannot use context {chosen}: {exc}", hint="does 'kubectl get pods' work with it?"
        ) from exc
    return Api(
        client,
        context=chosen,
        namespace=namespace or named[chosen].get("namespace") or "default",
    )
