"""Make the shim for macOS: one file for Intel's and Apple's processors, signed ad hoc.

It runs wherever zig does (PyPI's `ziglang`, which brings Apple's headers along), so that what is
tested on Linux is made as it is on a Mac:  python preload/dylib.py libtelepresence-preload.dylib

Called by: setup.py on macOS; tests/preload/test_macos.py.
Owns: nothing but the file that it is told to make.
Never: needs a Mac.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PRELOAD = Path(__file__).resolve().parent
ROOT = PRELOAD.parent
NAME = "libtelepresence-preload.dylib"
TARGETS = ("x86_64-macos.11.0", "aarch64-macos.11.0")  # Apple's processors began with macOS 11

# For Linux alone; files for macOS alone are empty elsewhere.
LINUX = {"epoll_list.c", "exports_epoll.c", "exports_syscall.c", "real.c", "wait_epoll.c"}
FLAGS = (
    "-std=c11", "-D_DARWIN_C_SOURCE", "-O2", "-g0", "-fvisibility=hidden", "-fno-sanitize=all",
    "-U_FORTIFY_SOURCE", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror",
)  # fmt: skip


def sources() -> list[Path]:
    own = [path for path in sorted(PRELOAD.glob("*.c")) if path.name not in LINUX]
    return [*own, ROOT / "src" / "_fastpath" / "socks5.c"]


def compile_slice(target: str, out: Path) -> None:
    """CalledProcessError: zig has said why."""
    words = [
        sys.executable, "-m", "ziglang", "cc", "-target", target, *FLAGS,
        "-I", PRELOAD, "-I", ROOT / "src" / "_fastpath",
        "-shared", f"-Wl,-install_name,@rpath/{NAME}", "-o", out, *sources(),
        PRELOAD / "libresolv.tbd",
    ]  # fmt: skip
    environ = {"ZIG_GLOBAL_CACHE_DIR": str(ROOT / "build" / "zig")} | os.environ
    subprocess.run(words, check=True, env=environ)


def make(out: Path) -> None:
    sys.path.insert(0, str(ROOT / "src"))  # before the package is installed
    from telepresence.method import macho

    parts = []
    with tempfile.TemporaryDirectory() as name:
        for target in TARGETS:
            made = Path(name) / target
            compile_slice(target, made)
            parts.append(macho.sign(made.read_bytes(), out.name))
    out.write_bytes(macho.join(parts))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
