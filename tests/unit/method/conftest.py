"""Programs for macOS, made here by zig.

Called by: test_macho.py and test_sip.py.
Owns: build/macos-programs.
Never: runs them: there is no macOS here.
"""

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / "build" / "macos-programs"
COMPILE_S = 240
SOURCE = '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n'


def compiled(arch: str) -> bytes:
    made = BUILD / f"hello-{arch}"
    if not made.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        source = BUILD / f"hello-{arch}.c"
        source.write_text(SOURCE)
        words = ["cc", "-target", f"{arch}-macos.11.0", "-O1", "-o", made, source]
        environ = os.environ | {"ZIG_GLOBAL_CACHE_DIR": str(ROOT / "build" / "zig")}
        command = [sys.executable, "-m", "ziglang", *words]
        subprocess.run(command, check=True, env=environ, timeout=COMPILE_S)
    return made.read_bytes()


@pytest.fixture(scope="session")
def arm64() -> bytes:
    """Its linker signs it, ad hoc."""
    return compiled("aarch64")


@pytest.fixture(scope="session")
def x86_64() -> bytes:
    """Not signed."""
    return compiled("x86_64")


@pytest.fixture(scope="session")
def arm64e(arm64: bytes) -> bytes:
    """As Apple builds its own: told by the subtype alone."""
    return arm64[:8] + struct.pack("<I", 0x80000002) + arm64[12:]
