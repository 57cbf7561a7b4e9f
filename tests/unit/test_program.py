"""Which programs a preloaded library can enter, by files as they are found on Debian."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from telepresence.program import why_closed, why_no_supervisor

SOURCE = "int main(void) { return 0; }"


def compiled(folder: Path, *flags: str) -> str:
    source = folder / "main.c"
    source.write_text(SOURCE)
    subprocess.run(["gcc", *flags, "-o", folder / "main", source], check=True)
    return str(folder / "main")


def script(path: Path, first: str) -> str:
    path.write_text(f"{first}\n")
    path.chmod(0o755)
    return str(path)


def test_a_dynamic_program_is_open(tmp_path: Path) -> None:
    assert why_closed(compiled(tmp_path)) == ""
    assert why_closed(sys.executable) == ""


@pytest.mark.parametrize("flag", ["-static", "-static-pie"])
def test_a_static_program_is_closed(tmp_path: Path, flag: str) -> None:
    assert why_closed(compiled(tmp_path, flag)) == "a static program"


@pytest.mark.parametrize("cgo", ["0", "1"])
def test_a_go_program_is_closed_even_if_it_is_linked_dynamically(tmp_path: Path, cgo: str) -> None:
    (tmp_path / "main.go").write_text('package main\nimport _ "net"\nfunc main() {}\n')
    words = ["go", "build", "-o", tmp_path / "main", tmp_path / "main.go"]
    cache = {"GOCACHE": str(tmp_path / "cache"), "GOFLAGS": "-mod=mod", "CGO_ENABLED": cgo}
    if cgo == "0":  # nothing of the standard library is needed to tell
        (tmp_path / "main.go").write_text("package main\nfunc main() {}\n")
    subprocess.run(words, check=True, env={**os.environ, **cache}, cwd=tmp_path)
    assert why_closed(str(tmp_path / "main")) == "a Go program"


def test_a_script_is_what_its_interpreter_is(tmp_path: Path) -> None:
    static = compiled(tmp_path, "-static")
    inner = script(tmp_path / "inner", f"#!{static} -x")
    assert why_closed(script(tmp_path / "outer", f"#! {inner}")) == "a static program"
    assert why_closed(script(tmp_path / "env", "#!/usr/bin/env -S python3 -u")) == ""
    assert why_closed(script(tmp_path / "none", "#!/usr/bin/env no-such-program")) == ""
    assert why_closed(script(tmp_path / "itself", f"#!{tmp_path}/itself")) == ""


def test_more_rights_than_the_users_close_a_program(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make another user's setuid program")
    path = compiled(tmp_path)
    os.chown(path, 65534, 65534)
    for bit, name in ((stat.S_ISUID, "a setuid program"), (stat.S_ISGID, "a setgid program")):
        Path(path).chmod(0o755 | bit)
        assert why_closed(path) == name
    Path(path).chmod(0o755)
    subprocess.run(["setcap", "cap_net_raw+ep", path], check=True)
    assert why_closed(path) == "a program with capabilities of its own"


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"\x7fELF\2\1" + b"\xff" * 58, b"text"])
def test_what_is_no_program_is_not_judged(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert why_closed(str(path)) in ("", "a static program")
    assert why_closed(str(tmp_path / "missing")) == ""


def test_a_program_for_another_word_size_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "i386"
    path.write_bytes(b"\x7fELF\1\1\1" + bytes(57))
    assert why_closed(str(path)) == "a 32-bit program"


def test_a_supervisor_that_is_none_is_said(tmp_path: Path) -> None:
    path = Path(script(tmp_path / "fails", "#!/bin/sh\nexit 3"))
    assert why_no_supervisor(path) == f"{path} --check ends with 3"
    text = tmp_path / "text"
    text.write_text("no program")
    assert why_no_supervisor(text) == f"{text}: Permission denied"
