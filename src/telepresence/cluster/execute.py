"""Run a command in a container and read what it prints.

Called by: cluster/oldpod.py.
Owns: the connection, until the command has ended.
Never: gives it any input.
"""

import json

from aiohttp import WSMsgType

from telepresence.cluster.api import Api, ApiError, Json

# Kubernetes, k8s.io/apimachinery, "remotecommand": each message begins with its channel; the last
# one is a Status.
_PROTOCOL = "v4.channel.k8s.io"
_STDOUT, _STATUS = 1, 3


async def output_of(api: Api, pod: str, container: str, *command: str) -> bytes:
    """What it prints, if it succeeds.  ApiError: it may not be run, cannot be, or fails."""
    path = f"/api/v1/namespaces/{api.namespace}/pods/{pod}/exec"
    # Errors too: what cannot be started is told there alone by some runtimes.
    query = [("container", container), ("stdout", "true"), ("stderr", "true")]
    query += [("command", word) for word in command]
    printed, ended = bytearray(), bytearray()
    async with api.websocket(path, _PROTOCOL, query) as stream:
        async for message in stream:
            if message.type is WSMsgType.BINARY and message.data:
                channel, data = message.data[0], message.data[1:]
                if channel == _STDOUT:
                    printed += data
                elif channel == _STATUS:
                    ended += data
    status: Json = json.loads(ended or b"{}")
    if status.get("status") != "Success":
        raise ApiError(
            str(status.get("message") or "the connection ended before the command"),
            status=int(status.get("code") or 500),
            reason=str(status.get("reason") or ""),
        )
    return bytes(printed)
