"""An image of one static program with variables of its own, loaded into the sandbox's node.

Called by: test_image_variables.py.
Owns: nothing; the image is 2 MB and goes with the sandbox.
Never: asks a registry or a builder.
"""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

SANDBOX = Path(__file__).parents[2] / "sandbox" / "sandbox"


def _layer(busybox: str, names: tuple[str, ...]) -> bytes:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(busybox, "busybox")
        for name in names:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "/busybox"
            tar.addfile(link)
    return layer.getvalue()


def load(name: str, folder: Path, variables: dict[str, str], *programs: str) -> str:
    """The image's name.  It has busybox, which sleeps, and that under the names of programs.

    Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset Format"."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("no busybox: make setup installs busybox-static")
    if not Path("/run/telepresence-sandbox").exists():
        pytest.skip("no sandbox runs, into whose node an image could be loaded: sandbox/sandbox up")
    layer = _layer(busybox, programs)
    said = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, check=True)
    config = {
        "architecture": said.stdout.decode().strip(),
        "os": "linux",
        "config": {"Env": [f"{key}={value}" for key, value in variables.items()],
                   "Entrypoint": ["/busybox", "sleep", "3600"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }  # fmt: skip
    reference = f"localhost/{name}:1"
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    archive = folder / f"{name}.tar"
    with tarfile.open(archive, "w") as tar:
        for member, data in (("manifest.json", json.dumps(manifest).encode()),
                             ("config.json", json.dumps(config).encode()),
                             ("layer.tar", layer)):  # fmt: skip
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    subprocess.run([SANDBOX, "image", archive], check=True, capture_output=True, timeout=120)
    return reference
