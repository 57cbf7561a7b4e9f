"""Make telepresence-sftp for macOS, of the files that CMakeLists.txt makes it of on Linux.

    python sftp/macos.py telepresence-sftp [TARGET]      # TARGET: zig's name; default: this machine

It runs wherever zig does (PyPI's `ziglang`, which brings Apple's headers along).

Called by: setup.py on macOS; tests/unit/volumes/test_sshfs.py.
Owns: nothing but the file that it is told to make.
Never: needs a Mac.
"""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FLAGS = ("-std=c11", "-D_DARWIN_C_SOURCE", "-O2", "-fno-sanitize=all", "-Wall", "-Wextra",
         "-Wconversion", "-Wshadow", "-Werror")  # fmt: skip


def sources() -> list[Path]:
    made = re.search(
        r"add_executable\(telepresence-sftp ([^)]+)\)", (HERE / "CMakeLists.txt").read_text()
    )
    assert made is not None
    return [HERE / name for name in made[1].split()]


def make(out: Path, target: str | None = None) -> None:
    """CalledProcessError: zig has said why."""
    chosen = ("-target", target) if target else ()
    words = [sys.executable, "-m", "ziglang", "cc", *chosen, *FLAGS, "-o", out, *sources()]
    subprocess.run(words, check=True)


if __name__ == "__main__":
    make(Path(sys.argv[1]), *sys.argv[2:3])
