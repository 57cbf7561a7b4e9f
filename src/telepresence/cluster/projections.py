"""Which volumes a container has, and which kubelet writes: a pod's specification in, paths out.

Called by: cluster/podwatch.py.
Owns: the kinds.
Never: touches the cluster.
"""

import posixpath

from telepresence.cluster.api import Json
from telepresence.values import MountPoint

# Kubernetes, "Volumes": written from objects of the API and read-only for every container.
_KINDS = {"configMap", "downwardAPI", "projected", "secret"}


def divide(spec: Json, name: str) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Where the container has those volumes, and where it has others."""
    kinds = {volume["name"]: not _KINDS.isdisjoint(volume) for volume in spec.get("volumes") or []}
    container = next(one for one in spec["containers"] if one["name"] == name)
    projections: list[bytes] = []
    others: list[bytes] = []
    for mount in container.get("volumeMounts") or []:
        path = posixpath.normpath(mount["mountPath"]).encode()
        (projections if kinds.get(mount["name"]) else others).append(path)
    return tuple(sorted(projections)), tuple(sorted(others))


def specified(spec: Json, name: str) -> tuple[MountPoint, ...]:
    """The root and the volumes.  A runtime may make more of it read-only than it is told to."""
    container = next(one for one in spec["containers"] if one["name"] == name)
    root = (container.get("securityContext") or {}).get("readOnlyRootFilesystem") is True
    frozen = {
        volume["name"]
        for volume in spec.get("volumes") or []
        if not _KINDS.isdisjoint(volume)
        or any(isinstance(how, dict) and how.get("readOnly") for how in volume.values())
    }
    volumes = (
        MountPoint(
            path=posixpath.normpath(mount["mountPath"]).encode(),
            read_only=mount.get("readOnly") is True or mount["name"] in frozen,
        )
        for mount in container.get("volumeMounts") or []
    )
    return (MountPoint(path=b"/", read_only=root), *volumes)
