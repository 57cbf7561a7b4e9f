"""What the shim takes from a program, and what it needs itself."""

import re
import subprocess
from pathlib import Path

from shim_rig import ROOT, SHIM


def lines(*command: str) -> list[str]:
    return subprocess.check_output(command, text=True).splitlines()


def test_exports_are_those_of_the_map(plain_build: Path) -> None:
    text = (ROOT / "preload" / "exports.map").read_text()
    listed = re.findall(r"^    (\w+);$", text, flags=re.MULTILINE)
    exported = {
        line.split()[-1] for line in lines("nm", "-D", "--defined-only", str(plain_build / SHIM))
    }
    assert exported == set(listed)
    assert listed == sorted(listed)


def test_needs_nothing_but_libc(plain_build: Path) -> None:
    dynamic = lines("readelf", "-d", str(plain_build / SHIM))
    needed = {match[1] for line in dynamic if (match := re.search(r"NEEDED.*\[(.*)\]", line))}
    assert needed <= {"libc.so.6", "libdl.so.2", "libpthread.so.0"}


def test_never_ends_or_writes_for_the_program(plain_build: Path) -> None:
    undefined = {
        line.split()[-1].split("@")[0]
        for line in lines("nm", "-D", "--undefined-only", str(plain_build / SHIM))
    }
    assert not undefined & {
        "exit",
        "_exit",
        "abort",
        "printf",
        "fprintf",
        "puts",
        "perror",
        "syslog",
    }
