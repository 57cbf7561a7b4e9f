"""Each syntax, read back by the program that it is for."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from telepresence.environ.syntax import Environ, syntax_of, write_json, write_lines

DEADLINE_S = 20.0
PLAIN = {b"PLAIN": b"value", b"EMPTY": b"", b"EQUALS": b"a=b=c", b"UTF8": "pät → h".encode()}
QUOTED = {
    b"JSON": b'{"a": [1, "b"]}', b"SPACES": b"  two  ", b"DOLLAR": b"$HOME $$",
    b"HASH": b"a #b", b"TICKS": b"`id` $(id)", b"DOUBLE": b'"quoted"', b"GLOB": b"* ? [a]",
    b"TILDE": b"~/x",
    b"PERCENT": b"%s;&|<>(){}", b"BACK": b"C:\\dir",
}  # fmt: skip
HARD = {
    b"SINGLE": b"it's '$HOME'", b"BANG": b"a!b !! !$", b"BOTH": b"\\'\\", b"MANY": b"one\ntwo\n",
    b"RETURN": b"a\r\nb", b"TAB": b"a\tb", b"END": b"ends with \\",
    b"PEM": b"-----\n" + b"x\n" * 40, b"BRACES": b"${HOME}", b"LONG": b"x y" * 40_000,
    b"CARRIAGE": b"x\r",
}  # fmt: skip
BYTES = {b"BYTES": b"\xff\xfe\x80"}
NAMES = {b"dotted.name-1": b"1"}
EVERYTHING: Environ = PLAIN | QUOTED | HARD | BYTES | NAMES

READERS = {
    "sh": ["sh", "-c", ". {file}; exec env -0"],
    "bash": ["bash", "-c", ". {file}; exec env -0"],
    "zsh": ["zsh", "-f", "-c", ". {file}; exec env -0"],
    "fish": ["fish", "--no-config", "-c", "source {file}; exec env -0"],
    "csh": ["csh", "-f", "-c", "source {file}; exec env -0"],
    "tcsh": ["tcsh", "-f", "-c", "source {file}; exec env -0"],
}


@pytest.mark.parametrize("shell", READERS)
def test_a_shell_reads_back_what_was_written(shell: str, tmp_path: Path) -> None:
    words = READERS[shell]
    if shutil.which(words[0]) is None:
        pytest.skip(f"there is no {words[0]} on this machine")
    file = tmp_path / f"env.{shell}"
    syntax = syntax_of(str(file), None)
    written = write_lines(EVERYTHING, syntax)
    file.write_bytes(written.text)
    done = subprocess.run(
        [word.format(file=file) for word in words],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE, check=True, timeout=DEADLINE_S,
    )  # fmt: skip
    entries = (entry.partition(b"=") for entry in done.stdout.split(b"\0"))
    seen = {key: value for key, _, value in entries}
    held = {key: value for key, value in EVERYTHING.items() if key not in written.left_out}
    assert {key: seen.get(key) for key in held} == held
    assert set(written.left_out) == set(NAMES) | (set(BYTES) if syntax == "csh" else set())


def test_compose_reads_back_what_was_written(tmp_path: Path) -> None:
    """Debian's, which reads the file as it does for a container; it shows $ as $$."""
    if shutil.which("docker-compose") is None:
        pytest.skip("there is no docker-compose on this machine")
    written = write_lines(EVERYTHING, "compose")
    (tmp_path / "pod.env").write_bytes(written.text)
    file = {"version": "3", "services": {"web": {"image": "none", "env_file": ["pod.env"]}}}
    (tmp_path / "compose.json").write_text(json.dumps(file))
    done = subprocess.run(
        ["docker-compose", "-f", "compose.json", "config"], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, check=True, timeout=DEADLINE_S,
    )  # fmt: skip
    seen = yaml.safe_load(done.stdout)["services"]["web"]["environment"]
    held = {k.decode(): v.decode() for k, v in EVERYTHING.items() if k not in written.left_out}
    assert {key: (value or "").replace("$$", "$") for key, value in seen.items()} == held


def unquoted(text: bytes) -> Environ:
    """As Compose reads it: a value in '' is what is between them, any other what it is."""
    found = {}
    for line in text.splitlines():
        key, _, value = line.partition(b"=")
        if value.startswith(b"'"):
            assert value.endswith(b"'") and b"'" not in value[1:-1] and b"\\" not in value
            found[key] = value[1:-1]
        else:
            assert b"$" not in value and b" #" not in value and value == value.strip()
            found[key] = value
    return found


def test_compose_gets_what_needs_no_escape_and_the_rest_is_named() -> None:
    written = write_lines(EVERYTHING, "compose")
    left_out = set(written.left_out)
    assert unquoted(written.text) == {k: v for k, v in EVERYTHING.items() if k not in left_out}
    assert not left_out & (set(PLAIN) | set(QUOTED) | set(NAMES))
    assert {b"MANY", b"PEM", b"RETURN", b"BYTES", b"SINGLE", b"BRACES"} <= left_out
    assert b"PLAIN=value\n" in written.text
    assert b"DOLLAR='$HOME $$'\n" in written.text


def test_docker_run_gets_every_line_as_it_is() -> None:
    written = write_lines(EVERYTHING, "docker")
    lines = dict(line.split(b"=", 1) for line in written.text.rstrip(b"\n").split(b"\n"))
    left_out = {b"MANY", b"PEM", b"RETURN", b"BYTES", b"LONG", b"CARRIAGE"}
    assert set(written.left_out) == left_out
    assert lines == {k: v for k, v in EVERYTHING.items() if k not in written.left_out}


def test_json_is_sorted_and_names_what_is_no_text() -> None:
    written = write_json(EVERYTHING)
    assert written.left_out == (b"BYTES",)
    held = {k.decode(): v.decode() for k, v in EVERYTHING.items() if k != b"BYTES"}
    assert json.loads(written.text) == held
    assert list(json.loads(written.text)) == sorted(held)


@pytest.mark.parametrize(
    ("path", "chosen", "syntax"),
    [
        ("x.env", None, "compose"), ("x", None, "compose"), ("x.sh", None, "sh"),
        ("a.b.fish", None, "fish"), ("x.csh", None, "csh"), ("x.tcsh", None, "csh"),
        ("x.sh", "docker", "docker"), ("x.env", "fish", "fish"),
    ],
)  # fmt: skip
def test_the_syntax_is_the_one_chosen_or_the_suffixs(
    path: str, chosen: str | None, syntax: str
) -> None:
    assert syntax_of(path, chosen) == syntax
