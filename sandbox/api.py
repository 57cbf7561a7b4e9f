"""Talk to the cluster's API server over HTTPS with the admin's certificate.

Called by: control_plane, node, workloads, cluster_dns, cli.  Owns: one connection for each request.
Never: retries."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import places
from machine import SandboxError


class Api:
    """Raises OSError when the server is not there, ApiRefused when it says no."""

    def __init__(self, pki: Path, *, timeout_s: float = 5.0) -> None:
        self._tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._tls.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self._timeout_s = timeout_s

    def request(
        self, method: str, path: str, body: str | None = None, kind: str = "application/json"
    ) -> bytes:
        connection = self._open(self._timeout_s)
        try:
            connection.request(method, path, body, {"Content-Type": kind})
            response = connection.getresponse()
            text = response.read()
        except http.client.HTTPException as exc:
            raise ConnectionError(f"API server: {exc!r}") from exc
        finally:
            connection.close()
        if response.status >= 300:
            raise ApiRefused(response.status, f"{method} {path}: {_message(text)}")
        return text

    def get(self, path: str) -> Any:
        return json.loads(self.request("GET", path))

    def watch(self, path: str, *, timeout_s: float) -> Iterator[dict[str, Any]]:
        """Yield watch events until the server ends the watch (it is asked to after timeout_s)."""
        connection = self._open(timeout_s + 10)
        try:
            separator = "&" if "?" in path else "?"
            connection.request("GET", f"{path}{separator}watch=1&timeoutSeconds={timeout_s:.0f}")
            response = connection.getresponse()
            if response.status >= 300:
                raise ApiRefused(response.status, f"watch {path}: {_message(response.read())}")
            while line := response.readline():
                yield json.loads(line)
        except http.client.HTTPException as exc:
            raise ConnectionError(f"API server: {exc!r}") from exc
        finally:
            connection.close()

    def _open(self, timeout_s: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            places.NODE_ADDRESS, places.API_PORT, timeout=timeout_s, context=self._tls
        )


class ApiRefused(SandboxError):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _message(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.decode(errors="replace")[:200]
