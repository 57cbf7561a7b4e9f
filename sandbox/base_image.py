"""Build the images of the sandbox: a Debian for workloads, and the pause image.

Called by: cli.  Owns: the image archives in the cache.
Never: starts a container."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
from pathlib import Path

import images
import places
from machine import SandboxError, read_packages, run, say

HERE = places.SOURCES / "base-image"
SUITE = "bookworm"
# Left out: nothing in a test reads them, and LLVM alone is 110 MB.
EXCLUDED = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    "/usr/lib/*/libLLVM*",
    "/usr/lib/postgresql/*/lib/bitcode/*",
)
CFLAGS = ("-std=c11", "-O2", "-static", "-pthread", "-Wall", "-Wextra", "-Wconversion", "-Werror")


def base_archive() -> Path:
    return places.cache() / "images" / f"base-{_key(HERE)}.tar"


def pause_archive() -> Path:
    return places.cache() / "images" / f"pause-{_key(HERE.parent / 'pause-image')}.tar"


def are_built() -> bool:
    return base_archive().exists() and pause_archive().exists()


def build() -> None:
    places.cache().joinpath("images").mkdir(exist_ok=True)
    if not pause_archive().exists():
        _build_pause()
    if not base_archive().exists():
        say("building the workloads' image from Debian packages (half a minute)")
        _build_base()
        say(f"workloads' image: {base_archive().stat().st_size >> 20} MB")
        _remove_old()


def _remove_old() -> None:
    """Keep two: another clone on this machine may be a version behind."""
    archives = sorted(
        base_archive().parent.glob("base-*.tar"), key=lambda path: path.stat().st_mtime
    )
    for archive in archives[:-2]:
        archive.unlink()


def _key(directory: Path) -> str:
    """The content of the recipe: this module and all files beside the C source."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(directory.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _compile(source: Path, program: Path) -> None:
    run("gcc", *CFLAGS, source, "-o", program)


def _build_pause() -> None:
    with tempfile.TemporaryDirectory(prefix="sandbox-pause-") as name:
        work = Path(name)
        _compile(HERE.parent / "pause-image" / "pause.c", work / "pause")
        with tarfile.open(work / "layer.tar", "w") as tar:
            tar.add(work / "pause", "pause")
        images.write_archive(
            work / "layer.tar",
            pause_archive(),
            reference=places.PAUSE_IMAGE,
            config={"Entrypoint": ["/pause"]},
        )


def _build_base() -> None:
    # Not in /tmp: a tmpfs there may be smaller than a Debian.
    work = places.cache() / "build" / "base-image"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    _compile(HERE / "bench-server.c", work / "bench-server")
    extra = [work / "bench-server", HERE / "hello-server.py", HERE / "demo-postgres"]
    try:
        run(
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            f"--include={','.join(read_packages(HERE / 'packages.txt'))}",
            *[f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED],
            # Debian's own postgres cluster is never started: the recipe makes one for the demo.
            '--essential-hook=mkdir -p "$1/etc/postgresql-common"',
            "--essential-hook=echo create_main_cluster=false"
            ' > "$1/etc/postgresql-common/createcluster.conf"',
            f"--customize-hook=copy-in {' '.join(map(str, extra))} /usr/local/bin",
            f"--customize-hook={HERE / 'prepare-rootfs'}",
            SUITE,
            work / "rootfs.tar",
        )
        images.write_archive(
            work / "rootfs.tar",
            base_archive(),
            reference=places.BASE_IMAGE,
            config={
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "Cmd": ["/bin/bash"],
            },
        )
    except SandboxError as exc:
        raise SandboxError(f"the workloads' image was not built: {exc}") from exc
    finally:
        shutil.rmtree(work, ignore_errors=True)
