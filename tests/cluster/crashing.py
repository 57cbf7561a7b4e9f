#!/usr/bin/python3
"""Make an image whose container says its last words and crashes, and load it into the sandbox.

    tests/cluster/crashing.py        prints the image's name

Called by: test_faults.py and bench/session.py, which ask how soon a crash is told.
Owns: the archive, in a temporary directory; the image stays in the sandbox.
Never: needs anything but the agent's own archive, of which it changes the entry point.
"""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
NAME = "telepresence-crashing:1"
LAST_WORDS = "these are my last words"
CODE = 3
# They tell the time, so that a bench knows when the crash was.
PROGRAM = f"import sys, time; print({LAST_WORDS!r}, time.time()); sys.exit({CODE})"
ENTRY = ["/usr/bin/python3.11", "-c", PROGRAM]


def rewrite(source: Path, target: Path) -> None:
    """The same layers under another name and entry point (Docker image specification v1.2)."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:

        def read(name: str) -> bytes:
            member = old.extractfile(name)
            assert member is not None
            return member.read()

        def write(name: str, data: bytes) -> None:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            new.addfile(info, io.BytesIO(data))

        (manifest,) = json.loads(read("manifest.json"))
        config = json.loads(read(manifest["Config"]))
        config["config"]["Entrypoint"] = ENTRY
        data = json.dumps(config).encode()
        name = f"{hashlib.sha256(data).hexdigest()}.json"
        write(name, data)
        for layer in manifest["Layers"]:
            write(layer, read(layer))
        image = {"Config": name, "RepoTags": [NAME], "Layers": manifest["Layers"]}
        write("manifest.json", json.dumps([image]).encode())


def load() -> str:
    """The image's name, once the sandbox has it."""
    built = subprocess.run(
        [TOP / "pod-image" / "build"], capture_output=True, text=True, check=True
    ).stdout
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "crashing.tar"
        rewrite(Path(built.splitlines()[-1]), target)
        subprocess.run([TOP / "sandbox" / "sandbox", "image", target], check=True)
    return NAME


if __name__ == "__main__":
    sys.stdout.write(load() + "\n")
