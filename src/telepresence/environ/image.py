"""Tell what a container's image defines apart from all else in its environment.

Called by: session.
Owns: nothing.
Never: takes a value that the pod on the laptop's side has, or could have had.
"""

import dataclasses
from typing import Any

from telepresence.values import Endpoints, Workload

_HOST = b"_SERVICE_HOST"


def _of_gone_services(environ: dict[bytes, bytes], now: dict[bytes, bytes]) -> tuple[bytes, ...]:
    """Beginnings of the variables of Services that were there when the old pod was started.

    Kubernetes, "Service", "Environment variables": NAME_SERVICE_…, NAME_PORT…"""
    gone = {key.removesuffix(_HOST) for key in environ.keys() - now.keys() if key.endswith(_HOST)}
    return tuple(name + end for name in gone for end in (b"_SERVICE_", b"_PORT"))


def with_image(
    ends: Endpoints, workload: Workload | None, container: str, old: dict[bytes, bytes]
) -> Endpoints:
    """The pod's own variables, and of the old pod's those that only its image can have set: no
    other ones are missing in a copy of it."""
    if workload is None or not old:
        return ends
    containers = workload.template["spec"]["containers"]
    mine: dict[str, Any] = next((each for each in containers if each["name"] == container), {})
    # A key that is optional may be gone since.
    named = {entry["name"].encode() for entry in mine.get("env") or []}
    services = _of_gone_services(old, ends.environ)
    images = {
        key: value
        for key, value in old.items()
        if key not in named and not (services and key.startswith(services))
    }
    return dataclasses.replace(ends, environ=images | ends.environ)
