"""The files of --env-json and --env-file, on a real disk."""

import dataclasses
import json
import os
import stat
from pathlib import Path

import pytest
from test_merge import PLAN

from telepresence.environ.files import write_files
from telepresence.errors import TelepresenceError
from telepresence.values import Environment

ENVIRONMENT = Environment(
    pod={b"A": b"1", b"LINES": b"one\ntwo", b"BYTES": b"\xff"}, process={b"LAPTOP": b"1"}
)


def test_the_pods_variables_are_written_for_their_owner_alone(tmp_path: Path) -> None:
    os.umask(before := os.umask(0))
    json_file, env_file = tmp_path / "env.json", tmp_path / "pod.env"
    for file in (json_file, env_file):
        file.write_text("before")
        file.chmod(0o666)
    plan = dataclasses.replace(PLAN, env_json=str(json_file), env_file=str(env_file))
    notes = write_files(plan, ENVIRONMENT)
    assert json.loads(json_file.read_text()) == {"A": "1", "LINES": "one\ntwo"}
    assert env_file.read_text() == "A=1\n"
    assert [stat.S_IMODE(f.stat().st_mode) for f in (json_file, env_file)] == [0o600, 0o600]
    assert notes == [
        f"--env-json: {json_file} cannot hold the values of BYTES; they are left out",
        f"--env-file: {env_file} cannot hold the values of BYTES, LINES; they are left out",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["env.json", "pod.env"]
    assert os.umask(before) == before


def test_nothing_is_written_that_was_not_asked_for(tmp_path: Path) -> None:
    assert write_files(PLAN, ENVIRONMENT) == []


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, env_json=str(tmp_path / "gone" / "env.json"))
    with pytest.raises(TelepresenceError, match=r"gone/env\.json: No such file"):
        write_files(plan, ENVIRONMENT)


def test_the_suffix_chooses_the_syntax(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, env_file=str(tmp_path / "env.sh"))
    assert write_files(plan, ENVIRONMENT) == []
    assert (tmp_path / "env.sh").read_bytes() == (
        b"export A='1'\nexport BYTES='\xff'\nexport LINES='one\ntwo'\n"
    )
