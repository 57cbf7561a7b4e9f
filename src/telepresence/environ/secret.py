"""Which values of the pod's environment came from Secrets: what the log may never show.

Called by: session.
Owns: nothing.
Never: asks the cluster for a Secret; what is unknown counts as one.
"""

import os
import re
from collections.abc import Iterator
from typing import Any

from telepresence.values import Workload

# Not from envFrom: what the container's runtime and kubelet set themselves.
_PLAIN = re.compile(
    rb"PATH|HOME|HOSTNAME|\w+_SERVICE_(HOST|PORT(_\w+)?)|\w+_PORT(_\d+_\w+)?", re.ASCII
)


def secret_values(
    workload: Workload | None, container: str, environ: dict[bytes, bytes]
) -> Iterator[str]:
    """Each with its value in the pod: those of `secretKeyRef`, and where `envFrom` names a Secret,
    whose keys are not told, all that the template does not name."""
    if workload is None:
        return
    containers = workload.template["spec"]["containers"]
    mine: dict[str, Any] = next((each for each in containers if each["name"] == container), {})
    named = {entry["name"].encode(): entry for entry in mine.get("env", [])}
    prefixes = tuple(
        source.get("prefix", "").encode()
        for source in mine.get("envFrom", [])
        if "secretRef" in source
    )
    for key, value in environ.items():
        if key in named:
            is_secret = "secretKeyRef" in (named[key].get("valueFrom") or {})
        else:
            is_secret = bool(prefixes) and key.startswith(prefixes) and not _PLAIN.fullmatch(key)
        if is_secret:
            yield os.fsdecode(value)
