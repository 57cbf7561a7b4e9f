"""Which volumes of a container kubelet writes itself: a pod's specification in, mount paths out.

Called by: cluster/proxy.py.
Owns: the kinds.
Never: touches the cluster.
"""

import posixpath

from telepresence.cluster.api import Json

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
