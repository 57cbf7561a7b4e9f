"""Write image archives without a registry or a builder, and load them into containerd.

Called by: base_image, node, cli.  Owns: the record of what was loaded.
Never: looks into a layer."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import places
from machine import SandboxError, run, say


def write_archive(
    layer: Path, archive: Path, *, reference: str, config: Mapping[str, object]
) -> None:
    """Wrap an uncompressed layer into a docker-archive.  Source: Docker image specification 1.2."""
    digest = hashlib.sha256()
    with layer.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    image = {
        "architecture": _architecture(),
        "os": "linux",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest.hexdigest()}"]},
        "history": [{"created_by": "sandbox/sandbox"}],
    }
    config_bytes = json.dumps(image, sort_keys=True).encode()
    config_name = hashlib.sha256(config_bytes).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": [reference], "Layers": ["layer.tar"]}]
    fresh = archive.with_name(archive.name + ".new")
    with tarfile.open(fresh, "w") as tar:
        _add(tar, "manifest.json", json.dumps(manifest).encode())
        _add(tar, config_name, config_bytes)
        tar.add(layer, "layer.tar")
    fresh.rename(archive)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def _architecture() -> str:
    return run("dpkg", "--print-architecture").strip()


def ctr(*words: str | Path) -> str:
    return run("ctr", "--address", places.CONTAINERD_SOCKET, "--namespace", "k8s.io", *words)


def load(archive: Path) -> list[str]:
    """Import a docker-archive unless the node has the same content under the same names already."""
    try:
        fingerprint, references = _read_archive(archive)
    except (OSError, tarfile.TarError, KeyError, ValueError, IndexError) as exc:
        reason = str(exc).splitlines()[0].rstrip(":")
        raise SandboxError(
            f"{archive} is no docker-archive ({reason}): "
            "write one with `docker save -o` or `buildah push`"
        ) from exc
    record = _read_record()
    on_node = _targets()
    wanted = [[fingerprint, on_node.get(reference, "")] for reference in references]
    if [record.get(reference) for reference in references] == wanted:
        return references
    say(f"loading {', '.join(references)} from {archive.name}")
    ctr("images", "import", archive)
    on_node = _targets()
    for reference in references:
        if reference not in on_node:
            raise SandboxError(f"containerd imported {archive} but has no {reference}: try again")
        record[reference] = [fingerprint, on_node[reference]]
    _record_path().write_text(json.dumps(record))
    return references


def _read_archive(archive: Path) -> tuple[str, list[str]]:
    """A hash of the configs, which name the layers by digest, and containerd's names of it."""
    with tarfile.open(archive) as tar:
        manifest = _content(tar, "manifest.json")
        digest = hashlib.sha256()
        references = []
        for image in json.loads(manifest):
            digest.update(_content(tar, image["Config"]))
            references += [_full_name(tag) for tag in image["RepoTags"] or []]
    if not references:
        raise KeyError("it has no tag")
    return digest.hexdigest(), references


def _content(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file.read()


def _full_name(tag: str) -> str:
    """What Docker and Kubernetes mean by a short name: demo:1 is docker.io/library/demo:1."""
    first, slash, _ = tag.partition("/")
    if not slash:
        return f"docker.io/library/{tag}"
    if "." not in first and ":" not in first and first != "localhost":
        return f"docker.io/{tag}"
    return tag


def _targets() -> dict[str, str]:
    """Reference -> digest of what containerd has under it."""
    rows = [line.split() for line in ctr("images", "list").splitlines()[1:]]
    return {row[0]: row[2] for row in rows if len(row) > 2}


def _record_path() -> Path:
    return places.cache() / "loaded-images.json"


def _read_record() -> dict[str, Any]:
    try:
        return dict(json.loads(_record_path().read_text()))
    except (FileNotFoundError, ValueError):
        return {}
