"""Write the files of --env-json and --env-file.

Called by: session, before the user's process starts.
Owns: nothing: the files are the user's and stay.
Never: shows a half-written file, or one that others may read.
"""

import contextlib
import os
import secrets
from pathlib import Path

from telepresence.environ.syntax import Written, syntax_of, write_json, write_lines
from telepresence.errors import TelepresenceError
from telepresence.values import Environment, Plan


def _write(path: Path, text: bytes) -> None:
    """All of it or nothing, 0600 from its first byte on."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
        draft.replace(path)
    except OSError as exc:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise TelepresenceError(
            f"cannot write the environment to {path}: {exc.strerror}",
            hint="name another file with --env-json or --env-file",
        ) from exc


def _note(option: str, path: str, written: Written) -> list[str]:
    if not written.left_out:
        return []
    names = ", ".join(os.fsdecode(name) for name in written.left_out)
    return [f"{option}: {path} cannot hold the values of {names}; they are left out"]


def write_files(plan: Plan, environment: Environment) -> list[str]:
    """The pod's variables into the files that were asked for; returns what the user should hear."""
    notes: list[str] = []
    if plan.env_json is not None:
        written = write_json(environment.pod)
        _write(Path(plan.env_json), written.text)
        notes += _note("--env-json", plan.env_json, written)
    if plan.env_file is not None:
        written = write_lines(environment.pod, syntax_of(plan.env_file, plan.env_syntax))
        _write(Path(plan.env_file), written.text)
        notes += _note("--env-file", plan.env_file, written)
    return notes
